import { openLocal } from "../../../src/drivers/storage/local.ts";
import { removeFolder, temporaryFolder } from "../../support/program.ts";
import { describeStorage } from "../../support/storage-conformance.ts";

let folder = "";

describeStorage(
  "local",
  async () => {
    folder = await temporaryFolder("local-storage");
    return await openLocal(folder);
  },
  async () => {
    await removeFolder(folder);
  },
);
