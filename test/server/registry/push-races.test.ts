import { createHash } from "node:crypto";
import { expect } from "chai";
import type { StorageDriver } from "../../../src/drivers/storage/driver.ts";
import { openMemory } from "../../../src/drivers/storage/memory.ts";
import { RegistryError } from "../../../src/server/errors.ts";
import { parseImageDocument } from "../../../src/server/registry/image-push.ts";
import { parseImageId } from "../../../src/server/registry/names.ts";
import type { Registry } from "../../../src/server/registry/registry.ts";
import { registryCores } from "../../support/registry-cores.ts";

const id = parseImageId("a".repeat(64));
const json = Buffer.from(JSON.stringify({ id }));
const layer = Buffer.from("a layer");
const value = `sha256:${createHash("sha256").update(json).update("\n").update(layer).digest("hex")}`;
const counted = new Set<string | symbol>(["read", "write", "stat", "delete", "move"]);

/** `driver`, that lets `task` happen before its `nth` call. */
function interrupted(driver: StorageDriver, nth: number, task: () => Promise<void>) {
  let calls = 0;
  const proxy = new Proxy(driver, {
    get: (target, name) => {
      const method = Reflect.get(target, name) as (...args: unknown[]) => unknown;
      if (typeof method !== "function") return method;
      if (!counted.has(name)) return method.bind(target);
      return async (...args: unknown[]) => {
        if (++calls === nth) await task();
        return await method.apply(target, args);
      };
    },
  });
  return { driver: proxy, calls: () => calls };
}

describe("one V1 image pushed by two processes", () => {
  const over = registryCores();

  const begin = async ({ push }: Registry) => {
    await push.putDocument(parseImageDocument(id, json), async () => await Promise.resolve(true));
  };
  const finish = async ({ push }: Registry) => {
    await push.putLayer(
      id,
      async function* () {
        yield await Promise.resolve(layer);
      },
      false,
    );
    await push.putChecksum(id, { kind: "payload", value });
  };
  const isThere = (error: unknown) => error instanceof RegistryError && error.code === "IMAGE_EXISTS";

  /** Runs a push once for every call to the store that it makes, with `other` before that call. */
  async function everywhere(other: (registry: Registry) => Promise<void>, then: (store: Registry) => Promise<void>) {
    for (let nth = 1; ; nth++) {
      const store = openMemory();
      const { driver, calls } = interrupted(store, nth, async () => {
        await other(over(store));
      });
      const mine = over(driver);
      try {
        await begin(mine);
        await finish(mine);
      } catch (error) {
        expect(isThere(error), `call ${nth}: ${String(error)}`).to.equal(true);
      }
      if (calls() < nth) {
        expect(nth).to.be.greaterThan(20);
        return;
      }
      await then(over(store));
      const { images } = over(store);
      expect(await images.state(id), `call ${nth}`).to.equal("complete");
      expect((await images.layer(id)).size, `call ${nth}`).to.equal(layer.length);
    }
  }

  it("is complete for the one that began while the other went on to the end", async () => {
    let began = false;
    await everywhere(
      async (other) => {
        began = true;
        await begin(other).catch((error: unknown) => {
          began = false;
          if (!isThere(error)) throw error;
        });
      },
      async (other) => {
        if (began) await finish(other);
      },
    );
  });

  it("is complete for both when one pushes it whole at any moment of the other's push", async () => {
    await everywhere(
      async (other) => {
        try {
          await begin(other);
        } catch (error) {
          if (!isThere(error)) throw error;
          return;
        }
        await finish(other);
      },
      async () => {
        await Promise.resolve();
      },
    );
  });
});
