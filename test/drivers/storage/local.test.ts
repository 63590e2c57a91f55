import { undisputed, type Tenure } from "../../../src/drivers/storage/claim.ts";
import { openLocal } from "../../../src/drivers/storage/local.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { describeStorage } from "../../support/storage-conformance.ts";

const ways: readonly [name: string, tenure: Tenure | undefined][] = [
  ["local", undefined],
  ["local with a journal", { claim: undisputed, isSole: true }],
];

for (const [name, tenure] of ways) {
  let folder = "";
  describeStorage(
    name,
    async () => {
      folder = await temporaryFolder("local-storage");
      return await openLocal(folder, 0, tenure);
    },
    async () => {
      await removeFolder(folder);
    },
  );
}
