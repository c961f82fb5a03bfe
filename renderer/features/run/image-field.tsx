import { Layers } from 'lucide-react';
import { useMemo } from 'react';
import { Combobox } from '../../components/combobox.tsx';
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
        .flatMap((image) =>
          image.tags.map((tag) => ({ value: tag, hint: formatBytes(image.sizeBytes) })),
        )
        .sort((a, b) => a.value.localeCompare(b.value)),
    [images],
  );
  return (
    <Field label={text.image} hint={hint} error={error}>
      {(ids) => (
        <Combobox
          {...ids}
          label={text.image}
          placeholder={text.imagePlaceholder}
          value={value}
          options={options}
          icon={Layers}
          onChange={onChange}
        />
      )}
    </Field>
  );
}
