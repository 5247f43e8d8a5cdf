// A client's server that webhooks tell of ends.
import type { WebhooksOptions } from "../../../routes/jobs/webhooks.ts";

/** Returns webhooks to https://client.example, whose server accepts all and notes the types of events. */
export function webhookReceiver(): {
  webhooks: Pick<WebhooksOptions, "secret" | "origins" | "fetch">;
  told: string[];
} {
  const told: string[] = [];
  const receiver = (_url: unknown, { body }: RequestInit = {}) => {
    told.push(JSON.parse(body as string).type);
    return Promise.resolve(new Response());
  };
  const secret = `whsec_${new Uint8Array(24).toBase64()}`;
  return { told, webhooks: { secret, origins: ["https://client.example"], fetch: receiver as typeof fetch } };
}
