import { useEffect, useRef, useState } from 'react';
import { isCancelled } from '../../../electron/contract/error.ts';
import { Button } from '../../components/button.tsx';
import { Dialog } from '../../components/dialog.tsx';
import { formatBytes } from '../../components/format.ts';
import { ProgressBar } from '../../components/meter.tsx';
import { Notice } from '../../components/state.tsx';
import { toast } from '../../components/toast.tsx';
import { bridge, type Problem, problemOf } from '../../data/bridge.ts';
import { text } from './text.ts';

/** Bytes read from the file at a time; the stream's credit decides when the next piece goes. */
const PIECE_BYTES = 1024 * 1024;

/** Sends a tar file to the engine. @returns the names of what was loaded */
async function loadFile(
  file: File,
  signal: AbortSignal,
  onProgress: (sentBytes: number) => void,
): Promise<readonly string[]> {
  const stream = await bridge.open('images.load', { fileName: file.name }, { signal });
  let failure: Error | undefined;
  const send = async (): Promise<void> => {
    for (let start = 0; start < file.size; start += PIECE_BYTES) {
      const piece = await file.slice(start, start + PIECE_BYTES).arrayBuffer();
      await stream.sendBytes(new Uint8Array(piece));
      onProgress(Math.min(file.size, start + PIECE_BYTES));
    }
    stream.endInput();
  };
  // The answer explains a refusal better than the send that it broke off.
  const sending = send().catch((error: unknown) => {
    failure = error instanceof Error ? error : new Error(text.loadFailed(file.name));
  });
  let references: readonly string[] = [];
  for await (const item of stream) {
    if (!(item instanceof Uint8Array) && item.type === 'done') {
      ({ references } = item);
    }
  }
  await sending;
  if (failure !== undefined) {
    throw failure;
  }
  return references;
}

/** Loads a file while it is shown; closes itself when that went well. */
export function LoadDialog({
  file,
  onClose,
}: {
  readonly file: File;
  readonly onClose: () => void;
}) {
  const [sentBytes, setSentBytes] = useState(0);
  const [problem, setProblem] = useState<Problem>();
  const abort = useRef<AbortController>(undefined);
  const closeRef = useRef(onClose);
  useEffect(() => {
    closeRef.current = onClose;
  });
  useEffect(() => {
    const controller = new AbortController();
    abort.current = controller;
    loadFile(file, controller.signal, setSentBytes).then(
      (references) => {
        if (!controller.signal.aborted) {
          toast.success(text.loaded(references.length === 0 ? file.name : references.join(', ')));
          closeRef.current();
        }
      },
      (error: unknown) => {
        if (!isCancelled(error) && !controller.signal.aborted) {
          setProblem(problemOf(error));
        }
      },
    );
    return () => controller.abort();
  }, [file]);
  const isSent = sentBytes >= file.size;
  return (
    <Dialog
      isOpen
      size="sm"
      title={text.loadDialog.title}
      onClose={() => {
        abort.current?.abort();
        onClose();
      }}
      footer={
        <Button onClick={onClose}>
          {problem === undefined ? text.loadDialog.cancel : text.loadDialog.close}
        </Button>
      }
    >
      {problem === undefined ? (
        <div className="flex flex-col gap-2">
          <p className="truncate font-medium">{file.name}</p>
          <ProgressBar
            label={text.loading(file.name)}
            value={isSent ? undefined : sentBytes / Math.max(1, file.size)}
          />
          <p role="status" className="nums text-xs text-ink-3">
            {isSent
              ? text.loadDialog.working
              : text.loadDialog.received(formatBytes(sentBytes), formatBytes(file.size))}
          </p>
        </div>
      ) : (
        <Notice tone="bad">
          <p className="font-medium">{text.loadFailed(file.name)}</p>
          <p>
            {problem.message} {problem.hint}
          </p>
        </Notice>
      )}
    </Dialog>
  );
}
