import { Minus, Plus } from 'lucide-react';
import type { ReactNode } from 'react';
import { MOD_KEY } from '../../app/navigation.ts';
import { IconButton } from '../../components/button.tsx';
import { Segmented, Switch } from '../../components/controls.tsx';
import { Facts, Section } from '../../components/facts.tsx';
import { formatMemory } from '../../components/format.ts';
import { Kbd } from '../../components/kbd.tsx';
import { Skeleton } from '../../components/state.tsx';
import { useAppState, useSettings } from '../../data/queries.ts';
import { text } from './text.ts';

const MIN_FONT_PX = 8;
const MAX_FONT_PX = 32;

/** Settings, all of which apply at once, and facts about the engine. */
export default function SettingsPage() {
  const { settings, change } = useSettings();
  const app = useAppState();
  return (
    <>
      <header className="flex h-14 shrink-0 items-center px-5">
        <h1 className="text-lg font-semibold tracking-[-0.01em]">{text.title}</h1>
      </header>
      <div className="min-h-0 flex-1 overflow-y-auto px-5 pb-8">
        {settings === undefined ? (
          <Skeleton className="h-40 w-full max-w-3xl rounded-md" />
        ) : (
          <div className="flex max-w-3xl flex-col gap-4">
            <Section title={text.appearance}>
              <Row label={text.theme}>
                <Segmented
                  label={text.theme}
                  value={settings.theme}
                  options={[
                    { value: 'system', label: text.themes.system },
                    { value: 'light', label: text.themes.light },
                    { value: 'dark', label: text.themes.dark },
                  ]}
                  onChange={(theme) => change({ theme })}
                />
              </Row>
            </Section>
            <Section title={text.terminal}>
              <Row label={text.fontSize} hint={text.fontSizeHint}>
                <div className="flex items-center gap-1">
                  <IconButton
                    label={text.smaller}
                    icon={Minus}
                    disabled={settings.terminalFontSizePx <= MIN_FONT_PX}
                    onClick={() => change({ terminalFontSizePx: settings.terminalFontSizePx - 1 })}
                  />
                  <output className="nums w-8 text-center text-sm font-medium">
                    {settings.terminalFontSizePx}
                  </output>
                  <IconButton
                    label={text.larger}
                    icon={Plus}
                    disabled={settings.terminalFontSizePx >= MAX_FONT_PX}
                    onClick={() => change({ terminalFontSizePx: settings.terminalFontSizePx + 1 })}
                  />
                </div>
              </Row>
              <p
                className="overflow-hidden whitespace-pre border-t border-line bg-sunken px-4 py-3 font-mono text-ink-2"
                style={{ fontSize: settings.terminalFontSizePx }}
              >
                {text.sample}
              </p>
            </Section>
            <Section title={text.logs}>
              <div className="flex flex-col gap-3 px-4 py-3">
                <Switch
                  label={text.wrap}
                  isOn={settings.logWrap}
                  onChange={(logWrap) => change({ logWrap })}
                />
                <Switch
                  label={text.timestamps}
                  isOn={settings.logTimestamps}
                  onChange={(logTimestamps) => change({ logTimestamps })}
                />
              </div>
            </Section>
            {app?.host.shell === 'electron' && (
              <Section title={text.window}>
                <div className="px-4 py-3">
                  <Switch
                    label={text.closeToTray}
                    isOn={settings.closeToTray}
                    onChange={(closeToTray) => change({ closeToTray })}
                  />
                </div>
              </Section>
            )}
            <EngineFacts />
            <Section title={text.shortcuts}>
              <dl className="divide-y divide-line">
                {text.keys.map(([label, keys]) => (
                  <div key={label} className="flex min-h-9 items-center justify-between gap-4 px-4">
                    <dt className="text-sm text-ink-2">{label}</dt>
                    <dd className="flex gap-3">
                      {keys.split(', ').map((combination) => (
                        <Kbd key={combination} keys={combination.replace('Mod', MOD_KEY)} />
                      ))}
                    </dd>
                  </div>
                ))}
              </dl>
            </Section>
          </div>
        )}
      </div>
    </>
  );
}

function Row({
  label,
  hint,
  children,
}: {
  readonly label: string;
  readonly hint?: string;
  readonly children: ReactNode;
}) {
  return (
    <div className="flex items-center justify-between gap-6 px-4 py-3">
      <div>
        <p className="text-sm">{label}</p>
        {hint !== undefined && <p className="text-xs text-ink-3">{hint}</p>}
      </div>
      {children}
    </div>
  );
}

function EngineFacts() {
  const app = useAppState();
  const engine = app?.engine;
  if (app === undefined || engine?.status !== 'connected') {
    return (
      <Section title={text.engine}>
        <p className="px-4 py-3 text-sm text-ink-3">{text.notConnected}</p>
      </Section>
    );
  }
  const { info } = engine;
  const { facts } = text;
  return (
    <Section title={text.engine}>
      <Facts
        facts={[
          { label: facts.product, value: `${info.product} ${info.version}` },
          { label: facts.api, value: info.apiVersion },
          { label: facts.endpoint, value: app.endpoint.url, copy: app.endpoint.url, isMono: true },
          { label: facts.system, value: `${info.os} (${info.arch}), ${info.hostName}` },
          { label: facts.kernel, value: info.kernel },
          {
            label: facts.resources,
            value: text.resources(info.cpuCount, formatMemory(info.memoryBytes)),
          },
          { label: facts.storage, value: info.storageDriver },
          { label: facts.cgroup, value: info.cgroupVersion },
          { label: facts.runtime, value: info.defaultRuntime },
          { label: facts.root, value: info.rootDir, isMono: true },
          { label: facts.app, value: app.host.appVersion },
        ]}
      />
    </Section>
  );
}
