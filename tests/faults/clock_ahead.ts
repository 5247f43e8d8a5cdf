// Loaded before a program: its clock is AHEAD_MS milliseconds ahead. Timers run at their pace.
const aheadMs = Number(Deno.env.get("AHEAD_MS"));
const Real = Date;

globalThis.Date = new Proxy(Real, {
  construct: (target, args) =>
    args.length === 0 ? new Real(Real.now() + aheadMs) : Reflect.construct(target, args),
  get: (target, name) => name === "now" ? () => Real.now() + aheadMs : Reflect.get(target, name),
});
