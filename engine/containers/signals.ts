import { InvalidParameterError } from '../base/errors.ts';

const NAMES =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  );
const ALIASES: Readonly<Record<string, number>> = { IOT: 6, CLD: 17, POLL: 29, UNUSED: 31 };
/** First and last signal for programs' own use under glibc. */
const RT_MIN = 34;
const RT_MAX = 64;

const BY_NAME = new Map<string, number>([
  ...NAMES.map((name, index): [string, number] => [name, index + 1]),
  ...Object.entries(ALIASES),
  ...Array.from({ length: 16 }, (_, step): [string, number] => [
    step === 0 ? 'RTMIN' : `RTMIN+${step}`,
    RT_MIN + step,
  ]),
  ...Array.from({ length: 15 }, (_, step): [string, number] => [
    step === 0 ? 'RTMAX' : `RTMAX-${step}`,
    RT_MAX - step,
  ]),
]);

export const SIGKILL = 9;
export const SIGTERM = 15;

/**
 * Number of a signal given as name (with or without SIG, any case) or number.
 *
 * @throws InvalidParameterError "invalid signal: X"
 */
export function parseSignal(text: string): number {
  if (/^-?\d+$/.test(text)) {
    const number = Number(text);
    if (number <= 0 || number > RT_MAX) {
      throw new InvalidParameterError(`invalid signal: ${text}`);
    }
    return number;
  }
  const number = BY_NAME.get(text.toUpperCase().replace(/^SIG/, ''));
  if (number === undefined) {
    throw new InvalidParameterError(`invalid signal: ${text}`);
  }
  return number;
}
