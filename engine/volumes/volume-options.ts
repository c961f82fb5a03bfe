import { InvalidParameterError } from '../base/errors.ts';

/** Rules for names and options of local volumes, with Docker's messages. */

const NAME_PATTERN = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
/** Longest name of a folder. */
const MAX_NAME_BYTES = 255;
const OPTION_NAMES = ['type', 'o', 'device', 'size'];
const REQUIRED_WITH: readonly (readonly [string, readonly string[]])[] = [
  ['device', ['type']],
  ['type', ['device']],
  ['o', ['device', 'type']],
];
const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** @throws InvalidParameterError */
export function validateVolumeName(name: string): void {
  if (name.length === 1) {
    throw new InvalidParameterError(
      `create ${name}: volume name is too short, names should be at least two alphanumeric characters`,
    );
  }
  if (!NAME_PATTERN.test(name)) {
    throw new InvalidParameterError(
      `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
  if (name.length > MAX_NAME_BYTES) {
    throw new InvalidParameterError(
      `create ${name}: volume name is longer than ${MAX_NAME_BYTES} bytes`,
    );
  }
}

function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  if (match === null) {
    throw new InvalidParameterError(`invalid size: '${text}'`);
  }
  return Number(match[1]) * (UNIT_BYTES[(match[2] ?? '').toLowerCase()] ?? 1);
}

/** @throws InvalidParameterError */
export function validateVolumeOptions(
  name: string,
  options: Readonly<Record<string, string>>,
): void {
  const refuse = (problem: string): never => {
    throw new InvalidParameterError(`create ${name}: ${problem}`);
  };
  for (const [option, value] of Object.entries(options)) {
    if (!OPTION_NAMES.includes(option)) {
      refuse(`invalid option: "${option}"`);
    }
    if (value.includes('\0')) {
      refuse(`option "${option}" contains a NUL byte`);
    }
  }
  if (options['type'] === 'cifs' && URL.parse(`http:${options['device'] ?? ''}`)?.port) {
    refuse("port not allowed in CIFS device URL, include 'port' in 'o='");
  }
  if (options['size'] !== undefined && parseSize(options['size']) > 0) {
    refuse('quota size requested but no quota support');
  }
  for (const [option, needed] of REQUIRED_WITH) {
    const missing = needed.find((other) => options[other] === undefined);
    if (options[option] !== undefined && missing !== undefined) {
      refuse(`missing required option: "${missing}"`);
    }
  }
}
