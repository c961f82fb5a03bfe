import { AlertDialog } from '@base-ui/react/alert-dialog';
import { Dialog as Base } from '@base-ui/react/dialog';
import { X } from 'lucide-react';
import { type ReactNode, type RefObject, useState } from 'react';
import { Button, IconButton } from './button.tsx';
import { cx } from './cx.ts';
import { Notice } from './state.tsx';
import { text } from './text.ts';

const BACKDROP = 'fade-motion fixed inset-0 z-40 bg-scrim';
const POPUP =
  'modal-motion fixed top-1/2 left-1/2 z-50 flex max-h-[calc(100vh-48px)] max-w-[calc(100vw-48px)] -translate-x-1/2 -translate-y-1/2 flex-col overflow-hidden rounded-lg border border-line bg-surface shadow-modal outline-none';

const WIDTHS = { sm: 'w-110', md: 'w-140', lg: 'w-190', xl: 'w-260' } as const;

interface DialogProps {
  readonly isOpen: boolean;
  readonly onClose: () => void;
  readonly title: string;
  readonly description?: ReactNode;
  readonly size?: keyof typeof WIDTHS;
  readonly footer?: ReactNode;
  readonly children: ReactNode;
  /** What gets the focus first; the first control by default. */
  readonly initialFocus?: RefObject<HTMLElement | null>;
  /** False while work is under way that closing would not stop. */
  readonly canClose?: boolean;
  readonly bodyClassName?: string;
}

/** A modal dialog with a title row, a scrolling body and a footer of buttons. */
export function Dialog({
  isOpen,
  onClose,
  title,
  description,
  size = 'md',
  footer,
  children,
  initialFocus,
  canClose = true,
  bodyClassName,
}: DialogProps) {
  return (
    <Base.Root
      open={isOpen}
      onOpenChange={(open) => {
        if (!open && canClose) {
          onClose();
        }
      }}
    >
      <Base.Portal>
        <Base.Backdrop className={BACKDROP} />
        <Base.Popup
          className={cx(POPUP, WIDTHS[size])}
          {...(initialFocus === undefined ? {} : { initialFocus })}
        >
          <header className="flex shrink-0 items-start gap-4 px-5 pt-4 pb-3">
            <div className="min-w-0 flex-1">
              <Base.Title className="text-lg font-semibold text-ink">{title}</Base.Title>
              {description !== undefined && (
                <Base.Description className="mt-0.5 text-sm text-ink-3">
                  {description}
                </Base.Description>
              )}
            </div>
            <IconButton
              label={text.close}
              icon={X}
              hasTooltip={false}
              disabled={!canClose}
              onClick={onClose}
              className="-mr-1.5 -mt-0.5"
            />
          </header>
          <div className={cx('min-h-0 flex-1 overflow-y-auto px-5 pt-1 pb-5', bodyClassName)}>
            {children}
          </div>
          {footer !== undefined && (
            <footer className="flex shrink-0 items-center justify-end gap-2 border-t border-line bg-sunken px-5 py-3">
              {footer}
            </footer>
          )}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

interface ConfirmDialogProps {
  readonly isOpen: boolean;
  readonly title: string;
  readonly body?: ReactNode;
  readonly confirmLabel: string;
  readonly isDangerous?: boolean;
  readonly children?: ReactNode;
  readonly onClose: () => void;
  /** Runs on confirm; the dialog closes when it settles, or shows why it failed. */
  readonly onConfirm: () => Promise<void> | void;
}

/** Asks before something that cannot be undone. */
export function ConfirmDialog({
  isOpen,
  title,
  body,
  confirmLabel,
  isDangerous = true,
  children,
  onClose,
  onConfirm,
}: ConfirmDialogProps) {
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<string>();
  const close = (): void => {
    setError(undefined);
    onClose();
  };
  const confirm = async (): Promise<void> => {
    setIsBusy(true);
    setError(undefined);
    try {
      await onConfirm();
      close();
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
    } finally {
      setIsBusy(false);
    }
  };
  return (
    <AlertDialog.Root
      open={isOpen}
      onOpenChange={(open) => {
        if (!open && !isBusy) {
          close();
        }
      }}
    >
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className={BACKDROP} />
        <AlertDialog.Popup className={cx(POPUP, WIDTHS.sm)}>
          <div className="min-h-0 overflow-y-auto px-5 pt-4 pb-5">
            <AlertDialog.Title className="text-base font-semibold text-ink">
              {title}
            </AlertDialog.Title>
            {body !== undefined && (
              <AlertDialog.Description className="mt-1 break-words text-sm text-ink-2">
                {body}
              </AlertDialog.Description>
            )}
            {children !== undefined && <div className="mt-4 flex flex-col gap-3">{children}</div>}
            {error !== undefined && (
              <div className="mt-4">
                <Notice tone="bad">{error}</Notice>
              </div>
            )}
          </div>
          <footer className="flex shrink-0 justify-end gap-2 border-t border-line bg-sunken px-5 py-3">
            <Button onClick={close} disabled={isBusy}>
              {text.cancel}
            </Button>
            <Button
              tone={isDangerous ? 'danger' : 'primary'}
              isBusy={isBusy}
              onClick={() => {
                void confirm();
              }}
            >
              {confirmLabel}
            </Button>
          </footer>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
