/** A `gantry-layer` command with its options. */
export type Words = readonly [string, ...string[]];

/** Spells a command: a list repeats its option, true is a bare flag, undefined leaves the option out. */
export function words(
  command: string,
  options: Readonly<Record<string, string | readonly string[] | true | undefined>>,
): Words {
  const rest = Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined) {
      return [];
    }
    if (value === true) {
      return [`--${name}`];
    }
    return [value].flat().flatMap((item) => [`--${name}`, item]);
  });
  return [command, ...rest];
}
