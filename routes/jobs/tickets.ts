// Tickets for EventSource, which sends no headers. A ticket lets its holder read one job's
// events for a minute at a time.
import type { MiddlewareHandler } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Environment } from "../middleware/environment.ts";
import { sha256 } from "../keys/api_key.ts";
import type { KeyDirectory } from "../keys/key_directory.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import type { StateStore } from "../state/state_store.ts";
import type { JobRecord } from "./job_record.ts";

export interface TicketsOptions {
  state: StateStore;
}

/** Milliseconds for which a ticket's owner may begin reading, or come back. */
export const TICKET_MS = 60_000;

export class Tickets {
  readonly #state: StateStore;

  constructor({ state }: TicketsOptions) {
    this.#state = state;
  }

  /** Creates a ticket of 256 random bits. The store has its SHA-256. */
  async issue({ id, tenant }: Pick<JobRecord, "id" | "tenant">): Promise<string> {
    const ticket = crypto.getRandomValues(new Uint8Array(32)).toHex();
    await this.#keep(ticket, JSON.stringify({ id, tenant }));
    return ticket;
  }

  /** Returns the owner of job `id`, by a ticket for it. @throws {ApiError} 401 */
  async tenantOf(ticket: string, id: string): Promise<string> {
    const text = await this.#state.get(await nameOf(ticket));
    const known = text === undefined ? undefined : JSON.parse(text);
    if (known?.id === id) return known.tenant;
    throw new ApiError(401, "This ticket is not valid, or has expired", { code: "invalid_ticket" });
  }

  /** Prolongs a ticket, so that a reader that is connected, or was a moment ago, may come back with it. */
  async renew(ticket: string): Promise<void> {
    const text = await this.#state.get(await nameOf(ticket));
    if (text !== undefined) await this.#keep(ticket, text);
  }

  async #keep(ticket: string, text: string): Promise<void> {
    await this.#state.set(await nameOf(ticket), text, { ttlMs: TICKET_MS });
  }
}

export interface AdmitTicketOptions {
  tickets: Tickets;
  directory: Pick<KeyDirectory, "find">;
  limits: Pick<KeyLimits, "takeRequest">;
}

/**
 * Runs before `authenticate`, which accepts its tickets. A ticket allows no more than
 * the key that asked for it.
 */
export function admitTicket(
  { tickets, directory, limits }: AdmitTicketOptions,
): MiddlewareHandler<Environment> {
  return async (c, next) => {
    const ticket = c.req.query("ticket");
    if (ticket !== undefined && c.req.method === "GET") {
      const tenant = await tickets.tenantOf(ticket, c.req.param("id") ?? "");
      const record = isKeyId(tenant) ? await directory.find(tenant) : undefined;
      if (record !== undefined) {
        if (record.revoked_at !== null) {
          throw new ApiError(401, "The API key of this ticket was revoked", { code: "revoked_api_key" });
        }
        await limits.takeRequest(record);
        c.set("apiKey", record);
      }
      c.set("tenant", tenant);
    }
    await next();
  };
}

/** Plain keys and this machine's own programs have no record. */
function isKeyId(tenant: string): boolean {
  return /^[0-9a-f]{12}$/.test(tenant);
}

async function nameOf(ticket: string): Promise<string> {
  return `ticket:${(await sha256(ticket.slice(0, 200))).toHex()}`;
}
