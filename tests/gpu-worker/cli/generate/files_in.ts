/** Returns the names of a folder's files, sorted. */
export function filesIn(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}
