import type Router from "@koa/router";
import type { Context } from "koa";
import type { V1Access } from "../access/v1-access.ts";
import { RegistryError } from "../errors.ts";
import { isObject } from "../registry/documents.ts";
import { answer, jsonBody } from "./answer.ts";
import type { SignUp, V1Parts } from "./parts.ts";

/** What docker takes for an account that it should log in to, byte for byte. */
const taken = "Username or email already exists";

/** What `docker login` asks of an index. Where there are no accounts, everybody is welcome. */
export function userRoutes(router: Router, { access, hasAccounts, signUp, options }: V1Parts): void {
  router.get("/v1/users/", async (ctx) => {
    await access.login(ctx);
    answer(ctx, "OK");
  });

  router.post("/v1/users/", async (ctx) => {
    const { value } = await jsonBody(ctx, options);
    if (!hasAccounts) {
      answer(ctx, "User Created", 201);
      return;
    }
    const created = signUp && (await wasMade(ctx, { access, signUp }, value));
    // Docker asks first whether it may make the account, and logs in when it may not.
    answer(ctx, created ? "User Created" : taken, created ? 201 : 400);
  });

  router.put("/v1/users/:name/", async (ctx) => {
    await access.login(ctx);
    if (hasAccounts)
      throw new RegistryError("DENIED", { message: "Passwords are changed by whoever runs the registry" });
    answer(ctx, "", 204);
  });

  router.all("/v1/users", (ctx) => {
    movedToSlash(ctx);
  });
  router.put("/v1/users/:name", (ctx) => {
    movedToSlash(ctx);
  });
}

/** Rejects with DATA_INVALID when the name or the password will not do. */
async function wasMade(
  ctx: Context,
  { access, signUp }: { readonly access: V1Access; readonly signUp: SignUp },
  value: unknown,
): Promise<boolean> {
  const { username, password } = isObject(value) ? value : {};
  if (typeof username !== "string" || typeof password !== "string") throw new RegistryError("DATA_INVALID");
  access.noteSignup(ctx, username);
  try {
    await signUp(ctx, username, password);
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.code === "ACCOUNT_EXISTS") return false;
    throw error;
  }
}

/** Clients that leave out the final slash are sent to the right place, as the original did. */
export function movedToSlash(ctx: { status: number; path: string; redirect: (url: string) => void }): void {
  ctx.redirect(`${ctx.path}/`);
  ctx.status = 301;
}
