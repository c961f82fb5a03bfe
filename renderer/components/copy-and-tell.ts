import { copyText } from './copy-button.tsx';
import { text } from './text.ts';
import { toast } from './toast.tsx';

/** Copies a value from a menu, where no button can show that it was copied. */
export function copyAndTell(value: string): void {
  void copyText(value).then((hasCopied) => {
    if (hasCopied) {
      toast.success(text.copied, { description: value });
    }
  });
}
