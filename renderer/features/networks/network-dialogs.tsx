import { useState } from 'react';
import type { NetworkSummary } from '../../../electron/contract/storage-channels.ts';
import { Button } from '../../components/button.tsx';
import { Select, Switch } from '../../components/controls.tsx';
import { ConfirmDialog, Dialog } from '../../components/dialog.tsx';
import { Field, Input } from '../../components/field.tsx';
import { type Pair, pairsToRecord } from '../../components/pairs.ts';
import { PairsEditor } from '../../components/pairs-editor.tsx';
import { Notice } from '../../components/state.tsx';
import { toast } from '../../components/toast.tsx';
import { bridge, type Problem, problemOf } from '../../data/bridge.ts';
import { useContainers, useNetworks } from '../../data/queries.ts';
import { text } from './text.ts';

/** Asks before networks go. */
export function RemoveNetworksDialog({
  networks,
  onClose,
  onRemoved,
}: {
  readonly networks: readonly NetworkSummary[] | undefined;
  readonly onClose: () => void;
  readonly onRemoved?: () => void;
}) {
  const list = networks ?? [];
  const [only] = list;
  const users = [
    ...new Set(
      list.flatMap((network) =>
        network.usedBy.filter((user) => user.isRunning).map((user) => user.name),
      ),
    ),
  ];
  return (
    <ConfirmDialog
      isOpen={networks !== undefined}
      title={
        list.length === 1 && only !== undefined
          ? text.removeDialog.titleOne(only.name)
          : text.removeDialog.titleMany(list.length)
      }
      body={text.removeDialog.body}
      confirmLabel={text.removeDialog.confirm}
      onClose={onClose}
      onConfirm={async () => {
        const failures: string[] = [];
        for (const network of list) {
          try {
            await bridge.call('networks.remove', { id: network.id });
          } catch (error) {
            if (list.length === 1) {
              throw error;
            }
            failures.push(`${network.name}: ${problemOf(error).message}`);
          }
        }
        if (failures.length > 0) {
          toast.error(text.removeDialog.failed(failures.length), {
            description: failures.join('\n'),
          });
        }
        onRemoved?.();
      }}
    >
      {users.length > 0 && <Notice tone="warn">{text.removeDialog.used(users.join(', '))}</Notice>}
    </ConfirmDialog>
  );
}

const DRIVERS = [
  { value: 'bridge', label: 'bridge' },
  { value: 'macvlan', label: 'macvlan' },
  { value: 'ipvlan', label: 'ipvlan' },
] as const;

/** Creates a network. */
export function CreateNetworkDialog({ onClose }: { readonly onClose: () => void }) {
  const networks = useNetworks();
  const [name, setName] = useState('');
  const [driver, setDriver] = useState<(typeof DRIVERS)[number]['value']>('bridge');
  const [subnet, setSubnet] = useState('');
  const [gateway, setGateway] = useState('');
  const [ipRange, setIpRange] = useState('');
  const [isInternal, setIsInternal] = useState(false);
  const [hasIpv6, setHasIpv6] = useState(false);
  const [isAttachable, setIsAttachable] = useState(false);
  const [options, setOptions] = useState<readonly Pair[]>([]);
  const [labels, setLabels] = useState<readonly Pair[]>([]);
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, setIsBusy] = useState(false);
  const isTaken = networks?.items.some((network) => network.name === name) ?? false;
  const isInvalid = name !== '' && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name);
  const nameError = isTaken
    ? text.createDialog.nameTaken
    : isInvalid
      ? text.createDialog.nameInvalid
      : undefined;
  const canCreate = name !== '' && nameError === undefined;
  const create = async (): Promise<void> => {
    setIsBusy(true);
    setProblem(undefined);
    try {
      const given = (key: string, value: string): Record<string, string> =>
        value.trim() === '' ? {} : { [key]: value.trim() };
      const { warning } = await bridge.call('networks.create', {
        name,
        driver,
        ...given('subnet', subnet),
        ...given('gateway', gateway),
        ...given('ipRange', ipRange),
        internal: isInternal,
        enableIpv6: hasIpv6,
        attachable: isAttachable,
        options: pairsToRecord(options),
        labels: pairsToRecord(labels),
      });
      toast.success(
        text.createDialog.created(name),
        warning === '' ? {} : { description: warning },
      );
      onClose();
    } catch (error) {
      setProblem(problemOf(error));
    } finally {
      setIsBusy(false);
    }
  };
  return (
    <Dialog
      isOpen
      onClose={onClose}
      canClose={!isBusy}
      title={text.createDialog.title}
      footer={
        <>
          <Button onClick={onClose} disabled={isBusy}>
            {text.createDialog.cancel}
          </Button>
          <Button
            tone="primary"
            isBusy={isBusy}
            disabled={!canCreate}
            onClick={() => {
              void create();
            }}
          >
            {text.createDialog.confirm}
          </Button>
        </>
      }
    >
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (canCreate) {
            void create();
          }
        }}
      >
        <div className="grid grid-cols-[1fr_160px] gap-3">
          <Field label={text.createDialog.name} error={nameError}>
            {(ids) => (
              <Input
                {...ids}
                value={name}
                onChange={(event) => setName(event.currentTarget.value)}
              />
            )}
          </Field>
          <Field label={text.createDialog.driver}>
            {({ id }) => <Select id={id} value={driver} options={DRIVERS} onChange={setDriver} />}
          </Field>
        </div>
        <div className="grid grid-cols-3 gap-3">
          <Field label={text.createDialog.subnet} hint={text.createDialog.subnetHint}>
            {(ids) => (
              <Input
                {...ids}
                isMono
                placeholder="172.30.0.0/16"
                value={subnet}
                onChange={(event) => setSubnet(event.currentTarget.value)}
              />
            )}
          </Field>
          <Field label={text.createDialog.gateway}>
            {(ids) => (
              <Input
                {...ids}
                isMono
                placeholder="172.30.0.1"
                value={gateway}
                onChange={(event) => setGateway(event.currentTarget.value)}
              />
            )}
          </Field>
          <Field label={text.createDialog.range}>
            {(ids) => (
              <Input
                {...ids}
                isMono
                placeholder="172.30.5.0/24"
                value={ipRange}
                onChange={(event) => setIpRange(event.currentTarget.value)}
              />
            )}
          </Field>
        </div>
        <div className="grid grid-cols-3 gap-3">
          <Switch
            label={text.createDialog.internal}
            hint={text.createDialog.internalHint}
            isOn={isInternal}
            onChange={setIsInternal}
          />
          <Switch
            label={text.createDialog.ipv6}
            hint={text.createDialog.ipv6Hint}
            isOn={hasIpv6}
            onChange={setHasIpv6}
          />
          <Switch
            label={text.createDialog.attachable}
            hint={text.createDialog.attachableHint}
            isOn={isAttachable}
            onChange={setIsAttachable}
          />
        </div>
        <div className="flex flex-col gap-1">
          <span className="text-xs font-medium text-ink-2">{text.createDialog.options}</span>
          <PairsEditor
            label={text.createDialog.options}
            nameLabel={text.createDialog.option}
            valueLabel={text.createDialog.value}
            addLabel={text.createDialog.addOption}
            pairs={options}
            onChange={setOptions}
          />
        </div>
        <div className="flex flex-col gap-1">
          <span className="text-xs font-medium text-ink-2">{text.createDialog.labels}</span>
          <PairsEditor
            label={text.createDialog.labels}
            nameLabel={text.createDialog.labelName}
            valueLabel={text.createDialog.value}
            addLabel={text.createDialog.addLabel}
            pairs={labels}
            onChange={setLabels}
          />
        </div>
        {problem !== undefined && (
          <Notice tone="bad">
            {problem.message} {problem.hint}
          </Notice>
        )}
        <button type="submit" className="hidden" tabIndex={-1} aria-hidden />
      </form>
    </Dialog>
  );
}

/** Connects a container to a network. */
export function ConnectDialog({
  network,
  onClose,
}: {
  readonly network: NetworkSummary;
  readonly onClose: () => void;
}) {
  const containers = useContainers();
  const connected = new Set(network.usedBy.map((user) => user.id));
  const options = (containers?.items ?? [])
    .filter((container) => !connected.has(container.id))
    .map((container) => ({ value: container.id, label: container.name }))
    .sort((a, b) => a.label.localeCompare(b.label));
  const [chosen, setChosen] = useState<string>();
  const [ipv4, setIpv4] = useState('');
  const [aliases, setAliases] = useState('');
  const containerId = chosen ?? options[0]?.value;
  return (
    <ConfirmDialog
      isOpen
      isDangerous={false}
      title={text.connectDialog.title(network.name)}
      confirmLabel={text.connectDialog.confirm}
      onClose={onClose}
      onConfirm={async () => {
        if (containerId === undefined) {
          throw new Error(text.connectDialog.none);
        }
        const names = aliases.split(/\s+/).filter((alias) => alias !== '');
        await bridge.call('networks.connect', {
          id: network.id,
          containerId,
          ...(ipv4.trim() === '' ? {} : { ipv4: ipv4.trim() }),
          ...(names.length === 0 ? {} : { aliases: names }),
        });
      }}
    >
      {containerId === undefined ? (
        <Notice tone="neutral">{text.connectDialog.none}</Notice>
      ) : (
        <>
          <Field label={text.connectDialog.container}>
            {({ id }) => (
              <Select id={id} value={containerId} options={options} onChange={setChosen} />
            )}
          </Field>
          <Field label={text.connectDialog.ipv4} hint={text.connectDialog.ipv4Hint}>
            {(ids) => (
              <Input
                {...ids}
                isMono
                value={ipv4}
                onChange={(event) => setIpv4(event.currentTarget.value)}
              />
            )}
          </Field>
          <Field label={text.connectDialog.aliases} hint={text.connectDialog.aliasesHint}>
            {(ids) => (
              <Input
                {...ids}
                value={aliases}
                onChange={(event) => setAliases(event.currentTarget.value)}
              />
            )}
          </Field>
        </>
      )}
    </ConfirmDialog>
  );
}
