import { CircleAlert, CircleCheck } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { Button } from '../../components/button.tsx';
import { Switch } from '../../components/controls.tsx';
import { cx } from '../../components/cx.ts';
import { Dialog } from '../../components/dialog.tsx';
import { Field, Input } from '../../components/field.tsx';
import { formatBytes } from '../../components/format.ts';
import { ProgressBar } from '../../components/meter.tsx';
import { Notice } from '../../components/state.tsx';
import { openRunDialog } from '../../data/ui.ts';
import { isPlausibleReference } from './image-names.ts';
import { text } from './text.ts';
import { runTransfer } from './transfer.ts';
import { IDLE_TRANSFER, layerShare, type Transfer, transferTotals } from './transfer-model.ts';

interface TransferDialogProps {
  readonly kind?: 'pull' | 'push';
  readonly initialReference: string;
  readonly onClose: () => void;
}

/** Pulls (or pushes) an image: what, with which login, then every layer's progress with a way to cancel. */
export default function PullDialog({
  kind = 'pull',
  initialReference,
  onClose,
}: TransferDialogProps) {
  const [reference, setReference] = useState(initialReference);
  const [platform, setPlatform] = useState('');
  const [hasAuth, setHasAuth] = useState(false);
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const [transfer, setTransfer] = useState<Transfer>(IDLE_TRANSFER);
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);

  const isPull = kind === 'pull';
  const trimmed = reference.trim();
  const canStart = isPlausibleReference(trimmed);
  const start = (): void => {
    if (!canStart) {
      return;
    }
    const controller = new AbortController();
    abort.current = controller;
    void runTransfer(
      {
        kind,
        reference: trimmed,
        platform: platform.trim(),
        username: hasAuth ? username : '',
        password,
      },
      controller.signal,
      (next) => {
        setTransfer(next);
        if (next.problem?.code === 'unauthorized') {
          setHasAuth(true);
        }
      },
    );
  };
  const isRunning = transfer.status === 'running';
  const name = transfer.reference === '' ? trimmed : transfer.reference;
  return (
    <Dialog
      isOpen
      onClose={() => {
        abort.current?.abort();
        onClose();
      }}
      title={isPull ? text.pullDialog.title : text.pullDialog.pushTitle(initialReference)}
      footer={
        <TransferButtons
          isPull={isPull}
          status={transfer.status}
          canStart={canStart}
          onCancel={() => abort.current?.abort()}
          onStart={start}
          onClose={onClose}
          onRun={() => {
            onClose();
            openRunDialog(trimmed);
          }}
        />
      }
    >
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          start();
        }}
      >
        {isPull && (
          <div className="grid grid-cols-[1fr_160px] gap-3">
            <Field label={text.pullDialog.reference} hint={text.pullDialog.latestHint}>
              {(ids) => (
                <Input
                  {...ids}
                  value={reference}
                  placeholder={text.pullDialog.placeholder}
                  disabled={isRunning}
                  onChange={(event) => setReference(event.currentTarget.value)}
                />
              )}
            </Field>
            <Field label={text.pullDialog.platform}>
              {(ids) => (
                <Input
                  {...ids}
                  value={platform}
                  placeholder={text.pullDialog.platformPlaceholder}
                  disabled={isRunning}
                  onChange={(event) => setPlatform(event.currentTarget.value)}
                />
              )}
            </Field>
          </div>
        )}
        {transfer.status !== 'done' && !isRunning && (
          <Switch label={text.pullDialog.auth} isOn={hasAuth} onChange={setHasAuth} />
        )}
        {hasAuth && transfer.status !== 'done' && !isRunning && (
          <div className="grid grid-cols-2 gap-3">
            <Field label={text.pullDialog.username}>
              {(ids) => (
                <Input
                  {...ids}
                  value={username}
                  onChange={(event) => setUsername(event.currentTarget.value)}
                />
              )}
            </Field>
            <Field label={text.pullDialog.password}>
              {(ids) => (
                <Input
                  {...ids}
                  type="password"
                  value={password}
                  onChange={(event) => setPassword(event.currentTarget.value)}
                />
              )}
            </Field>
          </div>
        )}
        {/* Lets Enter in any field start. */}
        <button type="submit" className="hidden" tabIndex={-1} aria-hidden />
      </form>
      <TransferView transfer={transfer} />
      {transfer.status === 'failed' && (
        <div className="mt-4">
          <Notice tone="bad" icon={CircleAlert}>
            <p className="font-medium">
              {isPull ? text.pullDialog.failed : text.pullDialog.pushFailed}
            </p>
            <p>
              {transfer.problem?.message} {transfer.problem?.hint}
            </p>
          </Notice>
        </div>
      )}
      {transfer.status === 'cancelled' && (
        <div className="mt-4">
          <Notice tone="neutral">{text.pullDialog.cancelled}</Notice>
        </div>
      )}
      {transfer.status === 'done' && (
        <p role="status" className="mt-4 flex items-center gap-2 text-sm font-medium text-ok-ink">
          <CircleCheck aria-hidden className="size-4" />
          {isPull ? text.pullDialog.done(name) : text.pullDialog.pushed(name)}
        </p>
      )}
    </Dialog>
  );
}

function TransferButtons({
  isPull,
  status,
  canStart,
  onCancel,
  onStart,
  onClose,
  onRun,
}: {
  readonly isPull: boolean;
  readonly status: Transfer['status'];
  readonly canStart: boolean;
  readonly onCancel: () => void;
  readonly onStart: () => void;
  readonly onClose: () => void;
  readonly onRun: () => void;
}) {
  if (status === 'running') {
    return <Button onClick={onCancel}>{text.pullDialog.cancel}</Button>;
  }
  if (status === 'done') {
    return (
      <>
        <Button onClick={onClose}>{text.pullDialog.close}</Button>
        {isPull && (
          <Button tone="primary" onClick={onRun}>
            {text.pullDialog.run}
          </Button>
        )}
      </>
    );
  }
  const startLabel = isPull ? text.pullDialog.start : text.pullDialog.push;
  return (
    <>
      <Button onClick={onClose}>{text.pullDialog.close}</Button>
      <Button tone="primary" disabled={!canStart} onClick={onStart}>
        {status === 'idle' ? startLabel : text.pullDialog.again}
      </Button>
    </>
  );
}

/** Progress of every layer and of the whole. */
export function TransferView({ transfer }: { readonly transfer: Transfer }) {
  if (
    transfer.status === 'idle' ||
    (transfer.layers.length === 0 && transfer.status !== 'running')
  ) {
    return null;
  }
  const { doneBytes, totalBytes } = transferTotals(transfer.layers);
  return (
    <div className="mt-4 flex flex-col gap-2">
      <div className="nums flex items-baseline justify-between gap-3 text-xs text-ink-3">
        <span className="min-w-0 truncate">
          {transfer.layers.length === 0 && transfer.message === ''
            ? text.pullDialog.starting
            : transfer.message}
        </span>
        {totalBytes > 0 && (
          <span className="shrink-0">
            {text.pullDialog.total(formatBytes(doneBytes), formatBytes(totalBytes))}
          </span>
        )}
      </div>
      {transfer.layers.length > 0 && (
        <ul
          aria-label={text.pullDialog.layers}
          className="max-h-72 divide-y divide-line overflow-y-auto rounded-sm border border-line"
        >
          {transfer.layers.map((layer) => {
            const isOver = layer.phase === 'complete' || layer.phase === 'exists';
            return (
              <li
                key={layer.id}
                className="nums grid grid-cols-[104px_96px_1fr_132px] items-center gap-3 px-3 py-1.5"
              >
                <code className="truncate text-xs text-ink-2">{layer.id}</code>
                <span className={cx('truncate text-xs', isOver ? 'text-ok-ink' : 'text-ink-2')}>
                  {text.phases[layer.phase]}
                </span>
                <ProgressBar
                  label={layer.id}
                  value={transfer.status === 'running' || isOver ? layerShare(layer) : 0}
                  tone={isOver ? 'ok' : 'accent'}
                />
                <span className="text-right text-xs text-ink-3">
                  {layer.totalBytes === undefined
                    ? ''
                    : isOver
                      ? formatBytes(layer.totalBytes)
                      : text.pullDialog.total(
                          formatBytes(layer.currentBytes ?? 0),
                          formatBytes(layer.totalBytes),
                        )}
                </span>
              </li>
            );
          })}
        </ul>
      )}
    </div>
  );
}
