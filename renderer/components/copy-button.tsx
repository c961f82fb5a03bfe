import { Check, Copy } from 'lucide-react';
import { useEffect, useState } from 'react';
import { IconButton } from './button.tsx';
import { text } from './text.ts';

/** Writes to the clipboard; false when the browser refuses (no permission, insecure page). */
export async function copyText(value: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    // Without clipboard permission the old way still works during a click.
    const area = document.createElement('textarea');
    area.value = value;
    area.style.position = 'fixed';
    area.style.opacity = '0';
    document.body.append(area);
    area.select();
    const hasCopied = document.execCommand('copy');
    area.remove();
    return hasCopied;
  }
}

/** Copies `value` and shows a tick for a moment. */
export function CopyButton({
  value,
  label = text.copy,
  tabIndex,
}: {
  readonly value: string;
  readonly label?: string;
  readonly tabIndex?: number;
}) {
  const [hasCopied, setHasCopied] = useState(false);
  useEffect(() => {
    if (!hasCopied) {
      return undefined;
    }
    const timer = setTimeout(() => setHasCopied(false), 1200);
    return () => clearTimeout(timer);
  }, [hasCopied]);
  return (
    <IconButton
      size="sm"
      label={hasCopied ? text.copied : label}
      icon={hasCopied ? Check : Copy}
      tabIndex={tabIndex}
      onClick={(event) => {
        event.stopPropagation();
        void copyText(value).then(setHasCopied);
      }}
    />
  );
}
