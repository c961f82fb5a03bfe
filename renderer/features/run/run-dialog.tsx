import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { useNavigate } from 'react-router';
import { Button } from '../../components/button.tsx';
import { Switch } from '../../components/controls.tsx';
import { CopyButton } from '../../components/copy-button.tsx';
import { cx } from '../../components/cx.ts';
import { Dialog } from '../../components/dialog.tsx';
import { Notice } from '../../components/state.tsx';
import { toast } from '../../components/toast.tsx';
import { bridge, type Problem } from '../../data/bridge.ts';
import { useCall, useContainers } from '../../data/queries.ts';
import { sentence } from '../../data/sentence.ts';
import { isPlausibleReference } from '../images/image-names.ts';
import { TransferView } from '../images/pull-dialog.tsx';
import { IDLE_TRANSFER, type Transfer } from '../images/transfer-model.ts';
import { EnvSection } from './env-section.tsx';
import { ImageField, useLocalImage } from './image-field.tsx';
import { launch } from './launch.ts';
import { MountRows } from './mount-rows.tsx';
import { newPort, PortRows } from './port-rows.tsx';
import { checkForm, EMPTY_FORM, type FieldProblem, type RunForm, toDockerRun } from './run-form.ts';
import {
  type CommandDefaults,
  CommandSection,
  GeneralSection,
  LabelsSection,
  NetworkSection,
  ResourcesSection,
  SecuritySection,
} from './sections.tsx';
import { text } from './text.ts';

const SECTIONS = [
  'general',
  'ports',
  'mounts',
  'env',
  'command',
  'network',
  'resources',
  'labels',
  'security',
] as const;
type SectionId = (typeof SECTIONS)[number];

/** Which section a field is in, to lead to what is wrong. */
function sectionOf(problem: FieldProblem): SectionId | undefined {
  if (problem.field.startsWith('port:')) {
    return 'ports';
  }
  if (problem.field.startsWith('mount:')) {
    return 'mounts';
  }
  if (problem.field === 'command' || problem.field === 'entrypoint') {
    return 'command';
  }
  if (['memory', 'cpus', 'pidsLimit'].includes(problem.field)) {
    return 'resources';
  }
  return problem.field === 'image' ? undefined : 'general';
}

/** Runs a container: every field of the dialog is optional but the image. */
export default function RunDialog({
  initialImage,
  onClose,
}: {
  readonly initialImage: string;
  readonly onClose: () => void;
}) {
  const navigate = useNavigate();
  const [form, setForm] = useState<RunForm>({ ...EMPTY_FORM, image: initialImage });
  const [section, setSection] = useState<SectionId>('general');
  const [problem, setProblem] = useState<Problem>();
  const [transfer, setTransfer] = useState<Transfer>(IDLE_TRANSFER);
  const [isBusy, setIsBusy] = useState(false);
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  const set = (change: Partial<RunForm>): void => setForm((before) => ({ ...before, ...change }));

  const containers = useContainers();
  const names = useMemo(
    () => new Set((containers?.items ?? []).map((container) => container.name)),
    [containers],
  );
  const problems = useMemo(() => checkForm(form, names), [form, names]);
  const local = useLocalImage(form.image);
  const defaults = useImageDefaults(local?.id, form.ports, (ports) => set({ ports }));
  const canRun = isPlausibleReference(form.image.trim()) && problems.length === 0;

  const start = async (doesStart: boolean): Promise<void> => {
    const controller = new AbortController();
    abort.current = controller;
    setIsBusy(true);
    setProblem(undefined);
    const outcome = await launch(form, {
      isLocal: local !== undefined,
      start: doesStart,
      signal: controller.signal,
      onPull: setTransfer,
    });
    setIsBusy(false);
    if (outcome.type !== 'created') {
      setProblem(outcome.type === 'failed' ? outcome.problem : undefined);
      return;
    }
    const { id, startError, warnings } = outcome.answer;
    const name = form.name === '' ? form.image : form.name;
    const open = {
      label: text.open,
      run: () => {
        void navigate(`/containers/${encodeURIComponent(id)}`);
      },
    };
    if (startError !== undefined) {
      const description = [startError.message, startError.hint ?? '']
        .map(sentence)
        .join(' ')
        .trim();
      toast.error(text.startFailed(name), { description, action: open });
    } else {
      const description = warnings.join('\n');
      toast.success(doesStart ? text.started(name) : text.created(name), {
        action: open,
        description: description === '' ? undefined : description,
      });
    }
    onClose();
  };

  const imageError = problems.find((candidate) => candidate.field === 'image')?.message;
  const props = { form, problems, set };
  const bodies: Record<SectionId, ReactNode> = {
    general: <GeneralSection {...props} />,
    ports: (
      <div className="flex flex-col gap-4">
        <PortRows rows={form.ports} problems={problems} onChange={(ports) => set({ ports })} />
        <p className="text-xs text-ink-3">{text.ports.hint}</p>
        <Switch
          label={text.ports.publishAll}
          isOn={form.isPublishAll}
          onChange={(isPublishAll) => set({ isPublishAll })}
        />
      </div>
    ),
    mounts: (
      <MountRows rows={form.mounts} problems={problems} onChange={(mounts) => set({ mounts })} />
    ),
    env: <EnvSection pairs={form.env} onChange={(env) => set({ env })} />,
    command: <CommandSection {...props} defaults={defaults} />,
    network: <NetworkSection {...props} />,
    resources: <ResourcesSection {...props} />,
    labels: <LabelsSection {...props} />,
    security: <SecuritySection {...props} />,
  };
  return (
    <Dialog
      isOpen
      size="xl"
      title={text.title}
      onClose={onClose}
      canClose={!isBusy}
      bodyClassName="flex flex-col gap-4 !overflow-hidden"
      footer={
        <>
          {isBusy && transfer.status === 'running' ? (
            <Button onClick={() => abort.current?.abort()}>{text.stopPull}</Button>
          ) : (
            <Button disabled={isBusy} onClick={onClose}>
              {text.cancel}
            </Button>
          )}
          <Button
            disabled={!canRun || isBusy}
            onClick={() => {
              void start(false);
            }}
          >
            {text.create}
          </Button>
          <Button
            tone="primary"
            isBusy={isBusy}
            disabled={!canRun}
            onClick={() => {
              void start(true);
            }}
          >
            {text.run}
          </Button>
        </>
      }
    >
      <ImageField
        value={form.image}
        error={imageError}
        hint={imageHint(form, local !== undefined)}
        onChange={(image) => set({ image })}
      />
      <div className="flex min-h-0 gap-5">
        <SectionList active={section} problems={problems} form={form} onChange={setSection} />
        <section
          aria-label={text.sections[section]}
          className="h-72 min-w-0 flex-1 overflow-y-auto p-px pr-2"
        >
          {bodies[section]}
        </section>
      </div>
      {isBusy || transfer.status === 'failed' ? <TransferView transfer={transfer} /> : null}
      {problem !== undefined && (
        <Notice tone="bad">
          <p className="font-medium">{text.failed}</p>
          <p>
            {problem.message} {problem.hint}
          </p>
        </Notice>
      )}
      <Preview form={form} />
    </Dialog>
  );
}

function imageHint(form: RunForm, isLocal: boolean): string {
  if (form.image.trim() === '') {
    return text.latestHint;
  }
  if (form.pull === 'always') {
    return text.imageAlways;
  }
  if (isLocal) {
    return text.imageLocal;
  }
  return form.pull === 'never' ? text.imageNever : text.imageRemote;
}

/** How many things of a section are set. */
function countOf(form: RunForm, section: SectionId): number {
  switch (section) {
    case 'ports':
      return form.ports.length;
    case 'mounts':
      return form.mounts.length;
    case 'env':
      return form.env.length;
    case 'labels':
      return form.labels.length;
    case 'general':
    case 'command':
    case 'network':
    case 'resources':
    case 'security':
      return 0;
    default:
      return section satisfies never;
  }
}

function SectionList({
  active,
  problems,
  form,
  onChange,
}: {
  readonly active: SectionId;
  readonly problems: readonly FieldProblem[];
  readonly form: RunForm;
  readonly onChange: (section: SectionId) => void;
}) {
  return (
    <nav
      aria-label={text.sections.label}
      className="flex w-40 shrink-0 flex-col gap-0.5 border-r border-line pr-3"
    >
      {SECTIONS.map((id) => {
        const count = countOf(form, id);
        const hasProblem = problems.some((problem) => sectionOf(problem) === id);
        return (
          <button
            key={id}
            type="button"
            aria-current={id === active ? 'true' : undefined}
            onClick={() => onChange(id)}
            className={cx(
              'flex h-7.5 items-center justify-between rounded-sm px-2.5 text-left text-sm',
              id === active
                ? 'bg-active font-medium text-ink'
                : 'text-ink-2 hover:bg-hover hover:text-ink',
            )}
          >
            {text.sections[id]}
            {hasProblem ? (
              <span aria-hidden className="size-1.5 rounded-full bg-bad" />
            ) : (
              count > 0 && (
                <span aria-hidden className="nums text-xs font-normal text-ink-3">
                  {count}
                </span>
              )
            )}
          </button>
        );
      })}
    </nav>
  );
}

function Preview({ form }: { readonly form: RunForm }) {
  const lines = toDockerRun(form);
  return (
    <section
      aria-label={text.preview}
      className="flex max-h-28 shrink-0 items-start gap-2 overflow-y-auto rounded-sm border border-line bg-sunken px-3 py-2"
    >
      <code className="min-w-0 flex-1 select-text break-words text-xs leading-5 text-ink-2">
        <span aria-hidden className="select-none text-ink-3">
          ${' '}
        </span>
        {lines.map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: options have no identity
          <span key={index} className={index === 0 ? 'text-ink' : undefined}>
            {line}
            {index < lines.length - 1 ? ' ' : ''}
          </span>
        ))}
      </code>
      <CopyButton value={lines.join(' ')} label={text.copyPreview} />
    </section>
  );
}

const NO_DEFAULTS: CommandDefaults = { command: '', entrypoint: '', workdir: '', user: '' };

/** What the image says; its exposed ports are put into an untouched list, with free host ports. */
function useImageDefaults(
  imageId: string | undefined,
  rows: RunForm['ports'],
  setPorts: (rows: RunForm['ports']) => void,
): CommandDefaults {
  const { data } = useCall(
    'images.inspect',
    { id: imageId ?? '-' },
    { isEnabled: imageId !== undefined },
  );
  const latest = useRef({ rows, setPorts, filled: '' });
  useEffect(() => {
    latest.current = { ...latest.current, rows, setPorts };
  });
  useEffect(() => {
    const exposed = data?.defaults.exposedPorts.filter((port) => port.protocol !== 'sctp') ?? [];
    // Rows that the reader typed stay; those of the image chosen before go.
    const isOurs = latest.current.rows.map((row) => row.id).join() === latest.current.filled;
    if (imageId === undefined || data === undefined || !isOurs) {
      return undefined;
    }
    const abort = new AbortController();
    const ports = exposed.map((port) => ({ containerPort: port.port, protocol: port.protocol }));
    const fill = (
      found: readonly { containerPort: number; protocol: string; hostPort?: number }[],
    ) => {
      const filled = found.map((port) =>
        newPort(
          String(port.containerPort),
          port.hostPort === undefined ? '' : String(port.hostPort),
          port.protocol === 'udp' ? 'udp' : 'tcp',
        ),
      );
      latest.current.filled = filled.map((row) => row.id).join();
      latest.current.setPorts(filled);
    };
    if (ports.length === 0) {
      fill([]);
      return undefined;
    }
    bridge.call('ports.suggest', { ports }, { signal: abort.signal }).then(
      (answer) => fill(answer.ports),
      () => {
        if (!abort.signal.aborted) {
          fill(ports);
        }
      },
    );
    return () => abort.abort();
  }, [imageId, data]);
  return useMemo(
    () =>
      data === undefined || imageId === undefined
        ? NO_DEFAULTS
        : {
            command: data.defaults.command.join(' '),
            entrypoint: data.defaults.entrypoint.join(' '),
            workdir: data.defaults.workdir,
            user: data.defaults.user,
          },
    [data, imageId],
  );
}
