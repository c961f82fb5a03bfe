import type { Container } from '../container.ts';

function matches(list: string | undefined, pattern: string | undefined, name: string): boolean {
  if (list?.split(',').includes(name) === true) {
    return true;
  }
  if (!pattern) {
    return false;
  }
  try {
    return new RegExp(pattern).test(name);
  } catch {
    // Go's syntax has a few forms that JavaScript does not know: such a pattern selects nothing.
    return false;
  }
}

function expandTag(tag: string, container: Container): string {
  const { id, record } = container;
  const values: Readonly<Record<string, string>> = {
    ID: id.slice(0, 12),
    FullID: id,
    Name: record.name,
    ImageID: record.imageId.replace(/^sha256:/, '').slice(0, 12),
    ImageFullID: record.imageId,
    ImageName: record.config.Image ?? '',
    DaemonName: 'docker',
  };
  return tag.replaceAll(/\{\{\s*\.(\w+)\s*\}\}/g, (whole, key: string) => values[key] ?? whole);
}

/** What the log options `labels`, `env` and `tag` add to every entry. */
export function logAttributes(container: Container): Readonly<Record<string, string>> {
  const { config, hostConfig } = container.record;
  const options = hostConfig.LogConfig?.Config ?? {};
  const attributes: Record<string, string> = {};
  for (const [name, value] of Object.entries(config.Labels ?? {})) {
    if (matches(options['labels'], options['labels-regex'], name)) {
      attributes[name] = value;
    }
  }
  for (const entry of config.Env ?? []) {
    const end = entry.indexOf('=');
    const name = end === -1 ? entry : entry.slice(0, end);
    if (matches(options['env'], options['env-regex'], name)) {
      attributes[name] = end === -1 ? '' : entry.slice(end + 1);
    }
  }
  if (options['tag']) {
    attributes['tag'] = expandTag(options['tag'], container);
  }
  return attributes;
}
