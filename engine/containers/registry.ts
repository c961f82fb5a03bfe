import { ConflictError, InvalidParameterError, NotFoundError } from '../base/errors.ts';
import type { Container } from './container.ts';

/**
 * All containers in memory, by id and name. Names are reserved before the container exists, so that of two creations
 * with one name the second fails before it has done anything.
 */
export class Registry {
  readonly #byId = new Map<string, Container>();
  /** name without slash -> id; also link names `parent/alias`. */
  readonly #names = new Map<string, string>();

  get size(): number {
    return this.#byId.size;
  }

  all(): Container[] {
    return [...this.#byId.values()];
  }

  byId(id: string): Container | undefined {
    return this.#byId.get(id);
  }

  isNameTaken(name: string): boolean {
    return this.#names.has(name);
  }

  /** @throws ConflictError  with Docker's words */
  reserveName(name: string, id: string): void {
    const owner = this.#names.get(name);
    if (owner !== undefined && owner !== id) {
      throw new ConflictError(
        `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`,
      );
    }
    this.#names.set(name, id);
  }

  releaseName(name: string, id: string): void {
    if (this.#names.get(name) === id) {
      this.#names.delete(name);
    }
  }

  /** Makes a container visible; its name is reserved already. */
  add(container: Container): void {
    this.#byId.set(container.id, container);
  }

  remove(container: Container): void {
    this.#byId.delete(container.id);
    for (const [name, id] of this.#names) {
      if (id === container.id || name.startsWith(`${container.record.name}/`)) {
        this.#names.delete(name);
      }
    }
  }

  /** Like `get`, undefined when nothing matches. */
  find(ref: string): Container | undefined {
    const exact = this.#byId.get(ref);
    if (exact !== undefined) {
      return exact;
    }
    const named = this.#names.get(ref.replace(/^\//, ''));
    const byName = named === undefined ? undefined : this.#byId.get(named);
    if (byName !== undefined) {
      return byName;
    }
    if (!/^[0-9a-f]{1,63}$/.test(ref)) {
      return undefined;
    }
    const matches: Container[] = [];
    for (const [id, container] of this.#byId) {
      if (id.startsWith(ref)) {
        matches.push(container);
      }
    }
    if (matches.length > 1) {
      throw new InvalidParameterError(`multiple IDs found with provided prefix: ${ref}`);
    }
    return matches[0];
  }

  /** @throws NotFoundError "No such container: REF"; InvalidParameterError  an ambiguous prefix, or no name */
  get(ref: string): Container {
    if (ref === '') {
      throw new InvalidParameterError('No container name or ID supplied');
    }
    const found = this.find(ref);
    if (found === undefined) {
      throw new NotFoundError(`No such container: ${ref}`);
    }
    return found;
  }

  /** Own name and link names of a container, with slashes, own first. */
  namesOf(container: Container): string[] {
    const names = [`/${container.record.name}`];
    if (this.#hasLinks) {
      for (const [name, id] of this.#names) {
        if (id === container.id && name.includes('/')) {
          names.push(`/${name}`);
        }
      }
    }
    return names;
  }

  #hasLinks = false;

  /** Makes `parent/alias` another name of the child. */
  addLink(parentName: string, alias: string, childId: string): void {
    this.#hasLinks = true;
    this.#names.set(`${parentName}/${alias}`, childId);
  }

  removeLink(parentName: string, alias: string): void {
    this.#names.delete(`${parentName}/${alias}`);
  }
}
