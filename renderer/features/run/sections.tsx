import type { ReactNode } from 'react';
import { Select, Switch } from '../../components/controls.tsx';
import { Field, Input } from '../../components/field.tsx';
import { PairsEditor } from '../../components/pairs-editor.tsx';
import { useContainers, useNetworks } from '../../data/queries.ts';
import { parseShellWords } from '../../data/shell-words.ts';
import type { FieldProblem, RunForm } from './run-form.ts';
import { text } from './text.ts';

/** What every section gets. */
export interface SectionProps {
  readonly form: RunForm;
  readonly problems: readonly FieldProblem[];
  readonly set: (change: Partial<RunForm>) => void;
}

const problemOfField = (problems: readonly FieldProblem[], field: string): string | undefined =>
  problems.find((problem) => problem.field === field)?.message;

const PULLS = (['missing', 'always', 'never'] as const).map((value) => ({
  value,
  label: text.pulls[value],
}));
const RESTARTS = (['no', 'always', 'on-failure', 'unless-stopped'] as const).map((value) => ({
  value,
  label: text.restarts[value],
}));

/** Name, restart policy and how it runs. */
export function GeneralSection({ form, problems, set }: SectionProps) {
  return (
    <div className="flex flex-col gap-4">
      <div className="grid grid-cols-2 gap-3">
        <Field label={text.name} error={problemOfField(problems, 'name')}>
          {(ids) => (
            <Input
              {...ids}
              placeholder={text.namePlaceholder}
              value={form.name}
              onChange={(event) => set({ name: event.currentTarget.value })}
            />
          )}
        </Field>
        <div className="grid grid-cols-2 gap-3">
          <Field label={text.pull}>
            {({ id }) => (
              <Select
                id={id}
                value={form.pull}
                options={PULLS}
                onChange={(pull) => set({ pull })}
              />
            )}
          </Field>
          <Field label={text.platform}>
            {(ids) => (
              <Input
                {...ids}
                placeholder={text.platformPlaceholder}
                value={form.platform}
                onChange={(event) => set({ platform: event.currentTarget.value })}
              />
            )}
          </Field>
        </div>
        <div className={form.restart === 'on-failure' ? 'grid grid-cols-2 gap-3' : ''}>
          <Field label={text.restart} error={problemOfField(problems, 'restart')}>
            {({ id }) => (
              <Select
                id={id}
                value={form.restart}
                options={RESTARTS}
                onChange={(restart) => set({ restart })}
              />
            )}
          </Field>
          {form.restart === 'on-failure' && (
            <Field label={text.maxRetries} error={problemOfField(problems, 'maxRetries')}>
              {(ids) => (
                <Input
                  {...ids}
                  inputMode="numeric"
                  placeholder={text.retriesPlaceholder}
                  value={form.maxRetries}
                  onChange={(event) => set({ maxRetries: event.currentTarget.value })}
                />
              )}
            </Field>
          )}
        </div>
      </div>
      <div className="grid grid-cols-2 gap-3">
        <Switch
          label={text.autoRemove}
          isOn={form.isAutoRemove}
          onChange={(isAutoRemove) => set({ isAutoRemove })}
        />
        <Switch label={text.tty} isOn={form.hasTty} onChange={(hasTty) => set({ hasTty })} />
        <Switch
          label={text.stdin}
          isOn={form.hasStdin}
          onChange={(hasStdin) => set({ hasStdin })}
        />
        <Switch
          label={text.init}
          hint={text.initHint}
          isOn={form.hasInit}
          onChange={(hasInit) => set({ hasInit })}
        />
      </div>
    </div>
  );
}

/** What the image says where the form says nothing. */
export interface CommandDefaults {
  readonly command: string;
  readonly entrypoint: string;
  readonly workdir: string;
  readonly user: string;
}

/** Command, entrypoint, and where and as whom they run. */
export function CommandSection({
  form,
  problems,
  set,
  defaults,
}: SectionProps & { readonly defaults: CommandDefaults }) {
  return (
    <div className="flex flex-col gap-4">
      <Words
        label={text.command.command}
        hint={text.command.commandHint}
        placeholder={defaults.command}
        value={form.command}
        error={problemOfField(problems, 'command')}
        onChange={(command) => set({ command })}
      />
      <Words
        label={text.command.entrypoint}
        hint={text.command.entrypointHint}
        placeholder={defaults.entrypoint}
        value={form.entrypoint}
        error={problemOfField(problems, 'entrypoint')}
        onChange={(entrypoint) => set({ entrypoint })}
      />
      <div className="grid grid-cols-3 gap-3">
        <Field label={text.command.workdir}>
          {(ids) => (
            <Input
              {...ids}
              isMono
              placeholder={defaults.workdir === '' ? '/' : defaults.workdir}
              value={form.workdir}
              onChange={(event) => set({ workdir: event.currentTarget.value })}
            />
          )}
        </Field>
        <Field label={text.command.user}>
          {(ids) => (
            <Input
              {...ids}
              isMono
              placeholder={defaults.user === '' ? text.command.userPlaceholder : defaults.user}
              value={form.user}
              onChange={(event) => set({ user: event.currentTarget.value })}
            />
          )}
        </Field>
        <Field label={text.command.hostname}>
          {(ids) => (
            <Input
              {...ids}
              isMono
              value={form.hostname}
              onChange={(event) => set({ hostname: event.currentTarget.value })}
            />
          )}
        </Field>
      </div>
    </div>
  );
}

function Words({
  label,
  hint,
  placeholder,
  value,
  error,
  onChange,
}: {
  readonly label: string;
  readonly hint: string;
  readonly placeholder: string;
  readonly value: string;
  readonly error: string | undefined;
  readonly onChange: (value: string) => void;
}) {
  const { words } = parseShellWords(value);
  let chips: ReactNode = hint;
  if (words.length > 0) {
    chips = (
      <span className="flex flex-wrap gap-1 pt-0.5">
        <span className="sr-only">{text.command.words}: </span>
        {words.map((word, index) => (
          <code
            // biome-ignore lint/suspicious/noArrayIndexKey: the same word can be there twice
            key={index}
            className="max-w-full truncate rounded-xs border border-line bg-sunken px-1.5 py-px text-2xs text-ink-2"
          >
            {word === '' ? '""' : word}
          </code>
        ))}
      </span>
    );
  }
  return (
    <Field label={label} hint={chips} error={error}>
      {(ids) => (
        <Input
          {...ids}
          isMono
          placeholder={placeholder}
          value={value}
          onChange={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** Which network, and more names in it. */
export function NetworkSection({ form, set }: SectionProps) {
  const networks = useNetworks();
  const containers = useContainers();
  const custom = (networks?.items ?? []).filter((network) => !network.isPredefined);
  const options = [
    { value: '', label: text.network.default },
    ...custom.map((network) => ({
      value: network.name,
      label: network.name,
      hint: network.driver,
    })),
    { value: 'host', label: text.network.host },
    { value: 'none', label: text.network.none },
    ...(containers?.items ?? [])
      .filter((container) => container.state === 'running')
      .map((container) => ({
        value: `container:${container.id}`,
        label: text.network.container(container.name),
      })),
  ];
  const isCustom = custom.some((network) => network.name === form.network);
  return (
    <div className="grid grid-cols-2 gap-3">
      <Field label={text.network.network}>
        {({ id }) => (
          <Select
            id={id}
            value={form.network}
            options={options}
            onChange={(network) =>
              set({
                network,
                ...(custom.some(({ name }) => name === network) ? {} : { aliases: '' }),
              })
            }
          />
        )}
      </Field>
      <Field label={text.network.aliases} hint={text.network.aliasesHint}>
        {(ids) => (
          <Input
            {...ids}
            disabled={!isCustom}
            value={form.aliases}
            onChange={(event) => set({ aliases: event.currentTarget.value })}
          />
        )}
      </Field>
    </div>
  );
}

/** How much it may use. */
export function ResourcesSection({ form, problems, set }: SectionProps) {
  return (
    <div className="grid grid-cols-3 gap-3">
      <Field
        label={text.resources.memory}
        hint={text.resources.memoryHint}
        error={problemOfField(problems, 'memory')}
      >
        {(ids) => (
          <Input
            {...ids}
            placeholder={text.resources.unlimited}
            value={form.memory}
            onChange={(event) => set({ memory: event.currentTarget.value })}
          />
        )}
      </Field>
      <Field
        label={text.resources.cpus}
        hint={text.resources.cpusHint}
        error={problemOfField(problems, 'cpus')}
      >
        {(ids) => (
          <Input
            {...ids}
            inputMode="decimal"
            placeholder={text.resources.unlimited}
            value={form.cpus}
            onChange={(event) => set({ cpus: event.currentTarget.value })}
          />
        )}
      </Field>
      <Field label={text.resources.pids} error={problemOfField(problems, 'pidsLimit')}>
        {(ids) => (
          <Input
            {...ids}
            inputMode="numeric"
            placeholder={text.resources.unlimited}
            value={form.pidsLimit}
            onChange={(event) => set({ pidsLimit: event.currentTarget.value })}
          />
        )}
      </Field>
    </div>
  );
}

/** Labels. */
export function LabelsSection({ form, set }: SectionProps) {
  return (
    <PairsEditor
      label={text.labels.label}
      nameLabel={text.labels.name}
      valueLabel={text.labels.value}
      addLabel={text.labels.add}
      pairs={form.labels}
      onChange={(labels) => set({ labels })}
    />
  );
}

/** Rights beyond the usual, or less than them. */
export function SecuritySection({ form, set }: SectionProps) {
  return (
    <div className="flex flex-col gap-4">
      <div className="grid grid-cols-2 gap-3">
        <Switch
          label={text.security.privileged}
          hint={text.security.privilegedHint}
          isOn={form.isPrivileged}
          onChange={(isPrivileged) => set({ isPrivileged })}
        />
        <Switch
          label={text.security.readOnly}
          hint={text.security.readOnlyHint}
          isOn={form.isReadOnly}
          onChange={(isReadOnly) => set({ isReadOnly })}
        />
      </div>
      <div className="grid grid-cols-2 gap-3">
        <Field label={text.security.capAdd} hint={text.security.capHint}>
          {(ids) => (
            <Input
              {...ids}
              isMono
              value={form.capAdd}
              onChange={(event) => set({ capAdd: event.currentTarget.value })}
            />
          )}
        </Field>
        <Field label={text.security.capDrop}>
          {(ids) => (
            <Input
              {...ids}
              isMono
              value={form.capDrop}
              onChange={(event) => set({ capDrop: event.currentTarget.value })}
            />
          )}
        </Field>
      </div>
    </div>
  );
}
