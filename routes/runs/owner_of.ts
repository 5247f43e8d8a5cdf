// Names the owner of runs to workers without telling them the key.
import { createHash } from "node:crypto";
import { LOCAL_TENANT } from "../middleware/environment.ts";

/**
 * Workers share their queues among owners by this name.
 * @returns undefined for the programs of this machine, which are served without keys and in their order
 */
export function ownerOf(tenant: string): string | undefined {
  if (tenant === LOCAL_TENANT) return undefined;
  return createHash("sha256").update(`owner of runs: ${tenant}`).digest("hex").slice(0, 32);
}
