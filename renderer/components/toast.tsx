import { Toast as Base } from '@base-ui/react/toast';
import { CircleAlert, CircleCheck, Info, X } from 'lucide-react';
import { cx } from './cx.ts';
import { text } from './text.ts';

const manager = Base.createToastManager();

interface ToastOptions {
  readonly description?: string | undefined;
  readonly action?: { readonly label: string; readonly run: () => void } | undefined;
}

function show(type: 'success' | 'error' | 'info', title: string, options: ToastOptions = {}): void {
  manager.add({
    title,
    type,
    timeout: type === 'error' ? 12_000 : 5000,
    ...(options.description === undefined ? {} : { description: options.description }),
    ...(options.action === undefined
      ? {}
      : { actionProps: { children: options.action.label, onClick: options.action.run } }),
  });
}

/** Short messages in the corner: what has happened, never the only place of an error that needs an answer. */
export const toast = {
  success: (title: string, options?: ToastOptions): void => show('success', title, options),
  error: (title: string, options?: ToastOptions): void => show('error', title, options),
  info: (title: string, options?: ToastOptions): void => show('info', title, options),
};

const ICONS = {
  success: { icon: CircleCheck, className: 'text-ok' },
  error: { icon: CircleAlert, className: 'text-bad' },
  info: { icon: Info, className: 'text-accent-ink' },
} as const;

function ToastList() {
  const { toasts } = Base.useToastManager();
  return toasts.map((item) => {
    const look = item.type === 'success' || item.type === 'error' ? ICONS[item.type] : ICONS.info;
    return (
      <Base.Root
        key={item.id}
        toast={item}
        swipeDirection="right"
        className="fade-motion pointer-events-auto flex w-90 items-start gap-2.5 rounded-md border border-line bg-raised p-3 shadow-pop"
      >
        <look.icon
          aria-hidden
          className={cx('mt-px size-4 shrink-0', look.className)}
          strokeWidth={2}
        />
        <Base.Content className="min-w-0 flex-1">
          <Base.Title render={<p />} className="break-words text-sm font-medium text-ink" />
          <Base.Description className="mt-0.5 line-clamp-10 break-words text-xs text-ink-2" />
          {item.actionProps !== undefined && (
            <Base.Action className="mt-2 inline-flex h-7 items-center rounded-sm border border-line-strong px-2 text-xs font-medium hover:bg-hover" />
          )}
        </Base.Content>
        <Base.Close
          aria-label={text.dismiss}
          className="flex size-5 shrink-0 items-center justify-center rounded-xs text-ink-3 hover:bg-active hover:text-ink"
        >
          <X aria-hidden className="size-3.5" />
        </Base.Close>
      </Base.Root>
    );
  });
}

/** Where toasts appear; once in the application. */
export function Toaster() {
  return (
    <Base.Provider toastManager={manager} limit={4}>
      <Base.Portal>
        <Base.Viewport
          aria-label={text.notifications}
          className="pointer-events-none fixed right-4 bottom-11 z-70 flex flex-col gap-2 outline-none"
        >
          <ToastList />
        </Base.Viewport>
      </Base.Portal>
    </Base.Provider>
  );
}
