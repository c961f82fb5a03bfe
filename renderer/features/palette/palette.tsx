import { Autocomplete } from '@base-ui/react/autocomplete';
import { Dialog } from '@base-ui/react/dialog';
import {
  Box,
  Download,
  FileText,
  Layers,
  type LucideIcon,
  Monitor,
  Moon,
  Play,
  Plus,
  RotateCcw,
  Search,
  Square,
  SquareTerminal,
  Sun,
} from 'lucide-react';
import { useMemo, useState } from 'react';
import { useNavigate } from 'react-router';
import type { ContainerSummary } from '../../../electron/contract/container-channels.ts';
import { MOD_KEY, PAGES } from '../../app/navigation.ts';
import { Kbd } from '../../components/kbd.tsx';
import { useContainers, useImages, useSettings } from '../../data/queries.ts';
import { openPullDialog, openRunDialog } from '../../data/ui.ts';
import { runAction } from '../containers/actions.ts';
import { isActive } from '../containers/container-state.ts';
import { imageName } from '../images/image-names.ts';
import { best } from './rank.ts';
import { text } from './text.ts';

interface Command {
  readonly id: string;
  readonly label: string;
  readonly section: keyof typeof text.sections;
  readonly icon: LucideIcon;
  readonly hint?: string;
  readonly shortcut?: string;
  readonly run: () => void;
}

/** Shown of each section. */
const LIMIT = 7;

/** Search over everything that can be opened or done. */
export default function Palette({
  isOpen,
  onClose,
}: {
  readonly isOpen: boolean;
  readonly onClose: () => void;
}) {
  const [query, setQuery] = useState('');
  const commands = useCommands(query);
  const close = (): void => {
    setQuery('');
    onClose();
  };
  const groups = useMemo(
    () =>
      (['commands', 'pages', 'containers', 'images'] as const)
        .map((section) => ({
          section,
          items: commands.filter((command) => command.section === section),
        }))
        .filter((group) => group.items.length > 0),
    [commands],
  );
  return (
    <Dialog.Root
      open={isOpen}
      onOpenChange={(open) => {
        if (!open) {
          close();
        }
      }}
    >
      <Dialog.Portal>
        <Dialog.Backdrop className="fade-motion fixed inset-0 z-40 bg-scrim" />
        <Dialog.Popup
          aria-label={text.title}
          className="modal-motion fixed top-[14vh] left-1/2 z-50 flex max-h-[64vh] w-150 max-w-[calc(100vw-48px)] -translate-x-1/2 flex-col overflow-hidden rounded-lg border border-line bg-surface shadow-modal outline-none"
        >
          <Autocomplete.Root
            inline
            open
            items={groups}
            mode="none"
            autoHighlight="always"
            keepHighlight
            value={query}
            onValueChange={setQuery}
            itemToStringValue={(item: Command) => item.label}
          >
            <div className="flex h-12 shrink-0 items-center gap-3 border-b border-line px-4">
              <Search aria-hidden className="size-4 text-ink-3" />
              <Autocomplete.Input
                aria-label={text.input}
                placeholder={text.input}
                className="h-full min-w-0 flex-1 bg-transparent text-base outline-none"
              />
            </div>
            <Autocomplete.Empty className="px-4 py-8 text-center text-sm text-ink-3 empty:hidden">
              {text.none}
            </Autocomplete.Empty>
            <Autocomplete.List
              aria-label={text.title}
              className="min-h-0 flex-1 scroll-py-2 overflow-y-auto p-2 empty:hidden"
            >
              {(group: {
                readonly section: Command['section'];
                readonly items: readonly Command[];
              }) => (
                <Autocomplete.Group key={group.section} items={group.items}>
                  <Autocomplete.GroupLabel className="px-2 pt-2 pb-1 text-2xs font-medium text-ink-3">
                    {text.sections[group.section]}
                  </Autocomplete.GroupLabel>
                  <Autocomplete.Collection>
                    {(command: Command) => (
                      <Autocomplete.Item
                        key={command.id}
                        value={command}
                        onClick={() => {
                          close();
                          command.run();
                        }}
                        className="flex h-9 cursor-default select-none items-center gap-3 rounded-sm px-2 text-sm outline-none data-highlighted:bg-active"
                      >
                        <command.icon
                          aria-hidden
                          className="size-4 shrink-0 text-ink-3"
                          strokeWidth={1.9}
                        />
                        <span className="min-w-0 flex-1 truncate">{command.label}</span>
                        {command.hint !== undefined && (
                          <span className="max-w-56 truncate text-xs text-ink-3">
                            {command.hint}
                          </span>
                        )}
                        {command.shortcut !== undefined && <Kbd keys={command.shortcut} />}
                      </Autocomplete.Item>
                    )}
                  </Autocomplete.Collection>
                </Autocomplete.Group>
              )}
            </Autocomplete.List>
          </Autocomplete.Root>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function useCommands(query: string): readonly Command[] {
  const navigate = useNavigate();
  const containers = useContainers();
  const images = useImages();
  const { change } = useSettings();
  return useMemo(() => {
    const go = (path: string) => () => {
      void navigate(path);
    };
    const general: Command[] = [
      {
        id: 'run',
        label: text.commands.run,
        section: 'commands',
        icon: Plus,
        run: () => openRunDialog(),
      },
      {
        id: 'pull',
        label: text.commands.pull,
        section: 'commands',
        icon: Download,
        run: () => openPullDialog(),
      },
      {
        id: 'light',
        label: text.commands.light,
        section: 'commands',
        icon: Sun,
        run: () => change({ theme: 'light' }),
      },
      {
        id: 'dark',
        label: text.commands.dark,
        section: 'commands',
        icon: Moon,
        run: () => change({ theme: 'dark' }),
      },
      {
        id: 'system',
        label: text.commands.system,
        section: 'commands',
        icon: Monitor,
        run: () => change({ theme: 'system' }),
      },
    ];
    const pages: Command[] = PAGES.map((page) => ({
      id: `page-${page.id}`,
      label: page.label,
      section: 'pages',
      icon: page.icon,
      shortcut: `${MOD_KEY}+${page.digit}`,
      run: go(page.path),
    }));
    const hasQuery = query.trim() !== '';
    const perContainer = (containers?.items ?? []).flatMap((container) =>
      containerCommands(container, go, hasQuery),
    );
    const perImage: Command[] = (images?.items ?? [])
      .filter((image) => image.tags.length > 0)
      .map((image) => ({
        id: `image-${image.id}`,
        label: text.actions.image(imageName(image)),
        section: 'images',
        icon: Layers,
        run: () => openRunDialog(imageName(image)),
      }));
    const nameOf = (command: Command): string => command.label;
    return [
      ...best(general, query, nameOf, hasQuery ? LIMIT : 2),
      ...best(pages, query, nameOf, LIMIT),
      ...best(perContainer, query, nameOf, LIMIT),
      ...best(perImage, query, nameOf, hasQuery ? LIMIT : 3),
    ];
  }, [navigate, containers, images, change, query]);
}

function containerCommands(
  container: ContainerSummary,
  go: (path: string) => () => void,
  hasQuery: boolean,
): readonly Command[] {
  const path = `/containers/${encodeURIComponent(container.id)}`;
  const base = { section: 'containers' as const, hint: container.image };
  const open: Command = {
    ...base,
    id: `open-${container.id}`,
    label: container.name,
    icon: Box,
    run: go(path),
  };
  if (!hasQuery) {
    return [open];
  }
  const act = (action: 'start' | 'stop' | 'restart') => () => {
    void runAction(container, action);
  };
  const { name } = container;
  const logs: Command = {
    ...base,
    id: `logs-${container.id}`,
    label: text.actions.logs(name),
    icon: FileText,
    run: go(`${path}/logs`),
  };
  if (!isActive(container)) {
    return [
      open,
      logs,
      {
        ...base,
        id: `start-${container.id}`,
        label: text.actions.start(name),
        icon: Play,
        run: act('start'),
      },
    ];
  }
  return [
    open,
    logs,
    {
      ...base,
      id: `terminal-${container.id}`,
      label: text.actions.terminal(name),
      icon: SquareTerminal,
      run: go(`${path}/terminal`),
    },
    {
      ...base,
      id: `stop-${container.id}`,
      label: text.actions.stop(name),
      icon: Square,
      run: act('stop'),
    },
    {
      ...base,
      id: `restart-${container.id}`,
      label: text.actions.restart(name),
      icon: RotateCcw,
      run: act('restart'),
    },
  ];
}
