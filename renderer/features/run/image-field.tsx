import { Autocomplete } from '@base-ui/react/autocomplete';
import { Layers } from 'lucide-react';
import { useMemo } from 'react';
import { Field } from '../../components/field.tsx';
import { formatBytes } from '../../components/format.ts';
import { useImages } from '../../data/queries.ts';
import { text } from './text.ts';

/** True when an image of this name is on the machine; without a tag `latest` is meant. */
export function useLocalImage(reference: string): { readonly id: string } | undefined {
  const images = useImages();
  return useMemo(() => {
    const named = reference.trim();
    if (named === '' || images === undefined) {
      return undefined;
    }
    const hasTag = named.lastIndexOf(':') > named.lastIndexOf('/') || named.includes('@');
    const full = hasTag ? named : `${named}:latest`;
    return images.items.find(
      (image) => image.id === named || image.tags.includes(full) || image.digests.includes(full),
    );
  }, [images, reference]);
}

interface ImageFieldProps {
  readonly value: string;
  readonly error: string | undefined;
  readonly hint: string;
  readonly onChange: (value: string) => void;
}

/** The image's name, completed from those on the machine. */
export function ImageField({ value, error, hint, onChange }: ImageFieldProps) {
  const images = useImages();
  const options = useMemo(
    () =>
      (images?.items ?? [])
        .flatMap((image) => image.tags.map((tag) => ({ value: tag, sizeBytes: image.sizeBytes })))
        .sort((a, b) => a.value.localeCompare(b.value)),
    [images],
  );
  return (
    <Field label={text.image} hint={hint} error={error}>
      {(ids) => (
        <Autocomplete.Root
          items={options}
          value={value}
          onValueChange={onChange}
          itemToStringValue={(option: { readonly value: string }) => option.value}
          limit={40}
          openOnInputClick
        >
          <Autocomplete.Input
            {...ids}
            placeholder={text.imagePlaceholder}
            spellCheck={false}
            autoComplete="off"
            className="h-8 w-full rounded-sm border border-line-strong bg-surface px-2.5 text-sm text-ink shadow-tiny focus:border-accent focus:outline-2 focus:outline-offset-0 focus:outline-accent/30 aria-invalid:border-bad"
          />
          <Autocomplete.Portal>
            <Autocomplete.Positioner sideOffset={4} align="start" className="z-60 outline-none">
              <Autocomplete.Popup className="pop-motion max-h-72 w-(--anchor-width) overflow-y-auto rounded-md border border-line bg-raised p-1 shadow-pop empty:hidden data-empty:hidden">
                <Autocomplete.List>
                  {(option: { readonly value: string; readonly sizeBytes: number }) => (
                    <Autocomplete.Item
                      key={option.value}
                      value={option}
                      className="flex cursor-default select-none items-center gap-2 rounded-xs px-2 py-1.5 text-sm outline-none data-highlighted:bg-hover"
                    >
                      <Layers aria-hidden className="size-3.5 shrink-0 text-ink-3" />
                      <span className="min-w-0 flex-1 truncate">{option.value}</span>
                      <span className="nums text-xs text-ink-3">
                        {formatBytes(option.sizeBytes)}
                      </span>
                    </Autocomplete.Item>
                  )}
                </Autocomplete.List>
              </Autocomplete.Popup>
            </Autocomplete.Positioner>
          </Autocomplete.Portal>
        </Autocomplete.Root>
      )}
    </Field>
  );
}
