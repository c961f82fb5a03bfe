import { useMemo, useState } from 'react';
import { Link } from 'react-router';
import type { ContainerSummary } from '../../../../electron/contract/container-channels.ts';
import { Badge } from '../../../components/badge.tsx';
import { Segmented } from '../../../components/controls.tsx';
import { DataTable, Facts, Section } from '../../../components/facts.tsx';
import { formatDateTime, formatMemory } from '../../../components/format.ts';
import { type Json, toJson } from '../../../components/json-model.ts';
import { JsonView } from '../../../components/json-view.tsx';
import { ErrorState, Skeleton } from '../../../components/state.tsx';
import { problemOf } from '../../../data/bridge.ts';
import { useCall } from '../../../data/queries.ts';
import { quoteShellWord } from '../../../data/shell-words.ts';
import { EnvTable, LabelTable } from '../tables.tsx';
import { text } from '../text.ts';
import {
  entriesAt,
  isTrueAt,
  listAt,
  numberAt,
  portsOf,
  textAt,
  textsAt,
  timeAt,
} from './raw-container.ts';

/** Everything the engine knows of a container: in words, and as it says it. */
export function InspectTab({ container }: { readonly container: ContainerSummary }) {
  const [view, setView] = useState<'summary' | 'json'>('summary');
  // A change of the row means a change of the details.
  const { data, error, refetch } = useCall(
    'containers.inspect',
    { id: container.id },
    {
      version: `${container.state} ${container.startedAtMs} ${container.health} ${container.name} ${container.networks.length}`,
    },
  );
  const raw = useMemo(() => (data === undefined ? undefined : toJson(data.raw)), [data]);
  if (error !== null && raw === undefined) {
    const problem = problemOf(error);
    return (
      <ErrorState
        message={problem.message}
        hint={problem.hint}
        onRetry={() => {
          void refetch();
        }}
      />
    );
  }
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex shrink-0 justify-center border-b border-line py-2">
        <Segmented
          label={text.inspect.view}
          value={view}
          options={[
            { value: 'summary', label: text.inspect.summary },
            { value: 'json', label: text.inspect.json },
          ]}
          onChange={setView}
        />
      </div>
      {raw === undefined ? (
        <div className="mx-auto flex w-full max-w-5xl flex-col gap-4 p-5">
          <Skeleton className="h-52 w-full rounded-md" />
          <Skeleton className="h-36 w-full rounded-md" />
        </div>
      ) : view === 'json' ? (
        <JsonView value={raw} label={text.inspect.raw} />
      ) : (
        <Summary raw={raw} />
      )}
    </div>
  );
}

const none = <span className="text-ink-3">{text.inspect.none}</span>;
const command = (words: readonly string[]): React.ReactNode =>
  words.length === 0 ? none : words.map(quoteShellWord).join(' ');

function Summary({ raw }: { readonly raw: Json }) {
  const env = textsAt(raw, 'Config', 'Env');
  const labels = Object.fromEntries(
    entriesAt(raw, 'Config', 'Labels').map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  );
  return (
    <div className="min-h-0 flex-1 overflow-y-auto p-5">
      <div className="mx-auto flex max-w-5xl flex-col gap-4">
        <General raw={raw} />
        <Limits raw={raw} />
        <Ports raw={raw} />
        <Mounts raw={raw} />
        <Networks raw={raw} />
        <Health raw={raw} />
        {env.length > 0 && <EnvTable title={text.inspect.env} env={env} />}
        {Object.keys(labels).length > 0 && (
          <LabelTable title={text.inspect.labels} labels={labels} />
        )}
      </div>
    </div>
  );
}

function General({ raw }: { readonly raw: Json }) {
  const id = textAt(raw, 'Id');
  const imageId = textAt(raw, 'Image');
  const policy = textAt(raw, 'HostConfig', 'RestartPolicy', 'Name') || 'no';
  const retries = numberAt(raw, 'HostConfig', 'RestartPolicy', 'MaximumRetryCount');
  const restarts = numberAt(raw, 'RestartCount');
  const error = textAt(raw, 'State', 'Error');
  const pid = numberAt(raw, 'State', 'Pid');
  return (
    <Section title={text.inspect.general}>
      <Facts
        facts={[
          { label: text.inspect.id, value: id, copy: id, isMono: true },
          { label: text.inspect.image, value: textAt(raw, 'Config', 'Image') || none },
          { label: text.inspect.imageId, value: imageId || none, copy: imageId, isMono: true },
          {
            label: text.inspect.entrypoint,
            value: command(textsAt(raw, 'Config', 'Entrypoint')),
            isMono: true,
          },
          {
            label: text.inspect.command,
            value: command(textsAt(raw, 'Config', 'Cmd')),
            isMono: true,
          },
          {
            label: text.inspect.workdir,
            value: textAt(raw, 'Config', 'WorkingDir') || none,
            isMono: true,
          },
          { label: text.inspect.user, value: textAt(raw, 'Config', 'User') || none, isMono: true },
          {
            label: text.inspect.hostname,
            value: textAt(raw, 'Config', 'Hostname') || none,
            isMono: true,
          },
          { label: text.inspect.created, value: formatDateTime(timeAt(raw, 'Created')) },
          { label: text.inspect.started, value: formatDateTime(timeAt(raw, 'State', 'StartedAt')) },
          {
            label: text.inspect.finished,
            value: formatDateTime(timeAt(raw, 'State', 'FinishedAt')),
          },
          ...(pid > 0 ? [{ label: text.inspect.pid, value: String(pid) }] : []),
          ...(error === '' ? [] : [{ label: text.inspect.error, value: error }]),
          {
            label: text.inspect.restart,
            value: `${policy}${retries > 0 ? `:${retries}` : ''}${restarts > 0 ? `, ${text.inspect.restarts(restarts)}` : ''}`,
          },
        ]}
      />
    </Section>
  );
}

function Limits({ raw }: { readonly raw: Json }) {
  const memory = numberAt(raw, 'HostConfig', 'Memory');
  const nanoCpus = numberAt(raw, 'HostConfig', 'NanoCpus');
  const quota = numberAt(raw, 'HostConfig', 'CpuQuota');
  const period = numberAt(raw, 'HostConfig', 'CpuPeriod') || 100_000;
  const pids = numberAt(raw, 'HostConfig', 'PidsLimit');
  const cpus = nanoCpus > 0 ? nanoCpus / 1e9 : quota > 0 ? quota / period : 0;
  const capAdd = textsAt(raw, 'HostConfig', 'CapAdd');
  const capDrop = textsAt(raw, 'HostConfig', 'CapDrop');
  const yesNo = (value: boolean): string => (value ? text.inspect.yes : text.inspect.no);
  const limit = (isSet: boolean, value: string): string => (isSet ? value : text.inspect.unlimited);
  return (
    <div className="grid grid-cols-2 gap-4">
      <Section title={text.inspect.limits}>
        <Facts
          facts={[
            { label: text.inspect.memory, value: limit(memory > 0, formatMemory(memory)) },
            { label: text.inspect.cpus, value: limit(cpus > 0, String(cpus)) },
            { label: text.inspect.pids, value: limit(pids > 0, String(pids)) },
          ]}
        />
      </Section>
      <Section title={text.inspect.security}>
        <Facts
          facts={[
            {
              label: text.inspect.privileged,
              value: yesNo(isTrueAt(raw, 'HostConfig', 'Privileged')),
            },
            {
              label: text.inspect.readOnly,
              value: yesNo(isTrueAt(raw, 'HostConfig', 'ReadonlyRootfs')),
            },
            ...(capAdd.length > 0
              ? [{ label: text.inspect.capAdd, value: capAdd.join(', ') }]
              : []),
            ...(capDrop.length > 0
              ? [{ label: text.inspect.capDrop, value: capDrop.join(', ') }]
              : []),
          ]}
        />
      </Section>
    </div>
  );
}

function Ports({ raw }: { readonly raw: Json }) {
  const ports = portsOf(raw);
  return ports.length === 0 ? null : (
    <Section title={text.inspect.ports}>
      <DataTable
        label={text.inspect.ports}
        columns={[
          { id: 'container', label: text.inspect.portColumns.container, className: 'w-1/3' },
          { id: 'host', label: text.inspect.portColumns.host },
        ]}
        rows={ports.map((port) => ({
          id: `${port.container} ${port.host}`,
          cells: [
            <code key="container" className="text-xs">
              {port.container}
            </code>,
            port.host === '' ? (
              <span key="host" className="text-ink-3">
                {text.inspect.notPublished}
              </span>
            ) : (
              <code key="host" className="text-xs">
                {port.host}
              </code>
            ),
          ],
        }))}
      />
    </Section>
  );
}

function Mounts({ raw }: { readonly raw: Json }) {
  const mounts = listAt(raw, 'Mounts');
  return mounts.length === 0 ? null : (
    <Section title={text.inspect.mounts}>
      <DataTable
        label={text.inspect.mounts}
        columns={[
          { id: 'type', label: text.inspect.mountColumns.type, className: 'w-24' },
          { id: 'source', label: text.inspect.mountColumns.source },
          { id: 'target', label: text.inspect.mountColumns.target },
          { id: 'mode', label: text.inspect.mountColumns.mode, className: 'w-28' },
        ]}
        rows={mounts.map((mount) => {
          const name = textAt(mount, 'Name');
          const target = textAt(mount, 'Destination');
          return {
            id: target,
            cells: [
              textAt(mount, 'Type'),
              name === '' ? (
                <code key="source" className="break-all text-xs">
                  {textAt(mount, 'Source')}
                </code>
              ) : (
                <Link
                  key="source"
                  to={`/volumes/${encodeURIComponent(name)}`}
                  className="break-all text-accent-ink hover:underline"
                >
                  {name}
                </Link>
              ),
              <code key="target" className="break-all text-xs">
                {target}
              </code>,
              isTrueAt(mount, 'RW') ? text.inspect.readWrite : text.inspect.readOnlyMode,
            ],
          };
        })}
      />
    </Section>
  );
}

function Networks({ raw }: { readonly raw: Json }) {
  const networks = entriesAt(raw, 'NetworkSettings', 'Networks');
  const columns = text.inspect.networkColumns;
  return networks.length === 0 ? null : (
    <Section title={text.inspect.networks}>
      <DataTable
        label={text.inspect.networks}
        columns={[
          { id: 'name', label: columns.name },
          { id: 'ip', label: columns.ip },
          { id: 'gateway', label: columns.gateway },
          { id: 'mac', label: columns.mac },
          { id: 'aliases', label: columns.aliases },
        ]}
        rows={networks.map(([name, network]) => ({
          id: name,
          cells: [
            <Link
              key="name"
              to={`/networks/${encodeURIComponent(textAt(network, 'NetworkID'))}`}
              className="text-accent-ink hover:underline"
            >
              {name}
            </Link>,
            <code key="ip" className="text-xs">
              {textAt(network, 'IPAddress') || '—'}
            </code>,
            <code key="gateway" className="text-xs">
              {textAt(network, 'Gateway') || '—'}
            </code>,
            <code key="mac" className="text-xs">
              {textAt(network, 'MacAddress') || '—'}
            </code>,
            textsAt(network, 'Aliases').join(', '),
          ],
        }))}
      />
    </Section>
  );
}

function Health({ raw }: { readonly raw: Json }) {
  const log = listAt(raw, 'State', 'Health', 'Log').toReversed();
  return log.length === 0 ? null : (
    <Section
      title={text.inspect.health}
      aside={
        <Badge tone={textAt(raw, 'State', 'Health', 'Status') === 'unhealthy' ? 'bad' : 'ok'}>
          {textAt(raw, 'State', 'Health', 'Status')}
        </Badge>
      }
    >
      <DataTable
        label={text.inspect.health}
        columns={[
          {
            id: 'time',
            label: text.inspect.healthColumns.time,
            className: 'w-44 whitespace-nowrap',
          },
          { id: 'result', label: text.inspect.healthColumns.result, className: 'w-28' },
          { id: 'output', label: text.inspect.healthColumns.output },
        ]}
        rows={log.map((entry, index) => {
          const code = numberAt(entry, 'ExitCode');
          return {
            id: `${index}`,
            cells: [
              formatDateTime(timeAt(entry, 'Start')),
              code === 0 ? (
                <Badge key="result" tone="ok">
                  {text.inspect.passed}
                </Badge>
              ) : (
                <Badge key="result" tone="bad">
                  {text.inspect.failed(code)}
                </Badge>
              ),
              <code key="output" className="whitespace-pre-wrap break-all text-xs">
                {textAt(entry, 'Output').trim().slice(0, 2000)}
              </code>,
            ],
          };
        })}
      />
    </Section>
  );
}
