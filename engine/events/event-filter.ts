import { type Filters, matchesExactly, matchesLabels, matchesPrefix } from '../api/filters.ts';
import type { EventMessage } from './contract.ts';

/** Kinds whose filter matches id or name, exactly or by prefix, whatever the kind of the event. */
const NAMED_KINDS = [
  'daemon',
  'container',
  'plugin',
  'volume',
  'network',
  'service',
  'node',
  'secret',
  'config',
] as const;
/** Actions that carry more after a colon: asked for by their first word they match all. */
const OPEN_ACTIONS = ['health_status', 'exec_create', 'exec_start'];

/** Name of a reference without tag and digest. */
function stripTag(reference: string): string {
  const plain = reference.replace(/@.*$/, '');
  return plain.replace(/:[^:/]*$/, '');
}

function matchesImage(filters: Filters, event: EventMessage): boolean {
  const id = event.Actor.ID;
  const name = event.Actor.Attributes[event.Type === 'image' ? 'name' : 'image'] ?? '';
  return [id, name, stripTag(id), stripTag(name)].some((candidate) =>
    matchesExactly(filters, 'image', candidate),
  );
}

/** Docker's rules: within a key any value matches, between keys all must; labels must all be there. */
export function matchesEvent(filters: Filters | undefined, event: EventMessage): boolean {
  if (filters === undefined || filters.size === 0) {
    return true;
  }
  const isOpen = (filters.get('event') ?? []).some((action) => OPEN_ACTIONS.includes(action));
  const matchesAction = isOpen ? matchesPrefix : matchesExactly;
  return (
    matchesAction(filters, 'event', event.Action) &&
    matchesExactly(filters, 'type', event.Type) &&
    matchesExactly(filters, 'scope', event.scope) &&
    NAMED_KINDS.every(
      (kind) =>
        matchesPrefix(filters, kind, event.Actor.ID) ||
        matchesPrefix(filters, kind, event.Actor.Attributes['name'] ?? ''),
    ) &&
    matchesImage(filters, event) &&
    matchesLabels(filters, 'label', event.Actor.Attributes)
  );
}
