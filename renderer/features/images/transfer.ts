import { isCancelled } from '../../../electron/contract/error.ts';
import { bridge, problemOf } from '../../data/bridge.ts';
import { IDLE_TRANSFER, reduceTransfer, type Transfer } from './transfer-model.ts';

/** What a transfer needs. */
export interface TransferRequest {
  readonly kind: 'pull' | 'push';
  readonly reference: string;
  readonly platform: string;
  readonly username: string;
  readonly password: string;
}

/** Runs a transfer to its end, whatever that is; aborting cancels it in the engine. Never rejects. */
export async function runTransfer(
  request: TransferRequest,
  signal: AbortSignal,
  onChange: (transfer: Transfer) => void,
): Promise<Transfer> {
  let transfer: Transfer = { ...IDLE_TRANSFER, status: 'running', reference: request.reference };
  onChange(transfer);
  const auth =
    request.username === ''
      ? {}
      : { auth: { username: request.username, password: request.password } };
  try {
    const stream =
      request.kind === 'pull'
        ? await bridge.open(
            'images.pull',
            {
              reference: request.reference,
              ...(request.platform === '' ? {} : { platform: request.platform }),
              ...auth,
            },
            { signal },
          )
        : await bridge.open('images.push', { reference: request.reference, ...auth }, { signal });
    for await (const item of stream) {
      if (!(item instanceof Uint8Array)) {
        transfer = reduceTransfer(transfer, item);
        onChange(transfer);
      }
    }
    if (transfer.status === 'running') {
      transfer = { ...transfer, status: signal.aborted ? 'cancelled' : 'done' };
    }
  } catch (error) {
    transfer =
      isCancelled(error) || signal.aborted
        ? { ...transfer, status: 'cancelled' }
        : { ...transfer, status: 'failed', problem: problemOf(error) };
  }
  onChange(transfer);
  return transfer;
}
