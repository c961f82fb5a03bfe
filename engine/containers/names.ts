import { randomInt } from 'node:crypto';
import { InvalidParameterError } from '../base/errors.ts';

const VALID_NAME = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

const ADJECTIVES =
  'able agile airy amber ample apt arctic autumn avid azure balmy bold brave breezy bright brisk calm candid careful cheery civil clear clever coastal cosy crisp curious dapper daring dawn deft dewy eager early earnest easy elated even fabled fair fancy fearless festive fine fleet fluent fond frank fresh frosty funny gallant gentle glad gleaming golden graceful grand grateful great hardy hazel helpful honest humble ideal jaunty jolly jovial keen kind lively loyal lucid lucky lunar mellow merry mild mindful misty modest mossy nifty nimble noble novel open orderly patient placid playful polite proud quick quiet rapid ready robust rosy rustic sage sandy serene sharp shiny silent silver sincere smart smooth snowy snug solar solid spry steady stellar stoic sturdy subtle sunny swift tender thrifty tidy timely tranquil trusty upbeat urban valiant velvet vibrant vivid warm whole willing windy witty young zesty'.split(
    ' ',
  );

/** People who moved science and engineering on. */
const SURNAMES =
  'abel agnesi alhazen ampere archimedes arrhenius avogadro babbage banach bell bernoulli bessel bohr boole borel bose brahe brown cantor carnot cauchy cavendish chandrasekhar clausius copernicus coulomb curie dalton darwin davy dedekind descartes dijkstra dirac doppler edison einstein elion engelbart erdos euclid euler faraday fermat fermi feynman fibonacci fleming fourier franklin fresnel galileo galois galvani gauss germain gibbs goodall grothendieck haber hahn halley hamilton hardy harvey hawking heisenberg helmholtz herschel hertz hilbert hopper hubble hutton huygens hypatia jacobi joule kelvin kepler khorana kirchhoff knuth kovalevskaya lagrange lamarr laplace lavoisier leavitt leibniz linnaeus lorentz lovelace lyell mach markov maxwell mcclintock meitner mendel mendeleev michelson minkowski mirzakhani moser napier nernst newton nightingale nobel noether ohm oersted pascal pasteur pauli payne planck poincare ptolemy pythagoras raman ramanujan rayleigh riemann roentgen rubin rutherford sagan shannon snell stokes tesla thales torvalds turing vesalius volta wallace watt weyl wiener wright yalow young zeeman zuse'.split(
    ' ',
  );

/** Name without the leading slash. @throws InvalidParameterError  not a valid name */
export function validateName(name: string): string {
  if (!VALID_NAME.test(name)) {
    throw new InvalidParameterError(
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  return name.replace(/^\//, '');
}

/** A name like `quiet_hopper` that `isTaken` does not know; a digit is added once names get scarce. */
export function generateName(isTaken: (name: string) => boolean): string {
  const pick = (words: readonly string[]): string => words[randomInt(words.length)] ?? 'plain';
  for (let attempt = 0; ; attempt += 1) {
    const base = `${pick(ADJECTIVES)}_${pick(SURNAMES)}`;
    const name = attempt < 6 ? base : `${base}${randomInt(10 ** Math.min(1 + attempt - 6, 9))}`;
    if (!isTaken(name)) {
      return name;
    }
  }
}
