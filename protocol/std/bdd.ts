// @std/testing/bdd's functions from node:test. Mapped to node:test itself, the name would have no types.
export { after, afterEach, before, beforeEach, describe, it } from "node:test";
