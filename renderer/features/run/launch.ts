import type { Result } from '../../../electron/contract/channels.ts';
import { bridge, type Problem, problemOf } from '../../data/bridge.ts';
import { runTransfer } from '../images/transfer.ts';
import type { Transfer } from '../images/transfer-model.ts';
import { type RunForm, toRunSpec } from './run-form.ts';

/** How a launch ended. */
export type LaunchOutcome =
  | { readonly type: 'created'; readonly answer: Result<'containers.create'> }
  | { readonly type: 'failed'; readonly problem: Problem }
  | { readonly type: 'cancelled' };

/** Pulls the image when the form asks for it, showing how far that is, then creates and starts. Never rejects. */
export async function launch(
  form: RunForm,
  options: {
    readonly isLocal: boolean;
    readonly start: boolean;
    readonly signal: AbortSignal;
    readonly onPull: (transfer: Transfer) => void;
  },
): Promise<LaunchOutcome> {
  const spec = toRunSpec(form);
  const mustPull = form.pull === 'always' || (form.pull === 'missing' && !options.isLocal);
  if (mustPull) {
    const transfer = await runTransfer(
      {
        kind: 'pull',
        reference: spec.image,
        platform: form.platform.trim(),
        username: '',
        password: '',
      },
      options.signal,
      options.onPull,
    );
    if (transfer.status === 'cancelled') {
      return { type: 'cancelled' };
    }
    if (transfer.problem !== undefined) {
      return { type: 'failed', problem: transfer.problem };
    }
  }
  try {
    const answer = await bridge.call('containers.create', {
      ...spec,
      pull: mustPull ? 'never' : form.pull,
      start: options.start,
    });
    return { type: 'created', answer };
  } catch (error) {
    return { type: 'failed', problem: problemOf(error) };
  }
}
