// Places in a channel, `EPOCH:OFFSET` as the gateway writes them. They are read only to tell what came before.

/** How far `position` lies behind `from`: negative before it, `NaN` in another epoch and from nowhere. */
export function distance(from = "", position: string): number {
  const [epoch, offset] = position.split(":");
  const [other, start] = from.split(":");
  return epoch === other ? Number(offset) - Number(start) : NaN;
}

/** The place before it. */
export function before(position: string): string {
  const [epoch, offset] = position.split(":");
  return `${epoch}:${Number(offset) - 1}`;
}
