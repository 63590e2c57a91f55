import { describeStorage } from "registryctl/driver-conformance";
import driver from "./index.js";

describeStorage("redis", () => driver.open({ redis_url: process.env.REDIS_URL ?? "redis://127.0.0.1:6379" }));
