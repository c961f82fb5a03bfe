import { Compass } from 'lucide-react';
import { Suspense, useEffect, useState } from 'react';
import { Navigate, Route, Routes, useLocation, useNavigate } from 'react-router';
import { useStore } from 'zustand';
import { Button } from '../components/button.tsx';
import { EmptyState, Skeleton } from '../components/state.tsx';
import { lazyPage, preloadPages } from '../data/lazy-page.ts';
import { ui } from '../data/ui.ts';
import { ContainersPage } from '../features/containers/containers-page.tsx';
import { Banner } from './banner.tsx';
import { ErrorBoundary } from './error-boundary.tsx';
import { PAGES } from './navigation.ts';
import { Sidebar } from './sidebar.tsx';
import { StatusBar } from './status-bar.tsx';
import { text } from './text.ts';

const ContainerPage = lazyPage(() => import('../features/container/container-page.tsx'));
const ProjectLogsPage = lazyPage(() => import('../features/container/project-logs-page.tsx'));
const ImagesPage = lazyPage(() => import('../features/images/images-page.tsx'));
const ImagePage = lazyPage(() => import('../features/images/image-page.tsx'));
const VolumesPage = lazyPage(() => import('../features/volumes/volumes-page.tsx'));
const VolumePage = lazyPage(() => import('../features/volumes/volume-page.tsx'));
const NetworksPage = lazyPage(() => import('../features/networks/networks-page.tsx'));
const NetworkPage = lazyPage(() => import('../features/networks/network-page.tsx'));
const DiskPage = lazyPage(() => import('../features/disk/disk-page.tsx'));
const SettingsPage = lazyPage(() => import('../features/settings/settings-page.tsx'));
const Palette = lazyPage(() => import('../features/palette/palette.tsx'));
const RunDialog = lazyPage(() => import('../features/run/run-dialog.tsx'));
const PullDialog = lazyPage(() => import('../features/images/pull-dialog.tsx'));

/** The frame: sidebar, banner, page, status bar, and the dialogs every page can open. */
export function Shell() {
  const location = useLocation();
  useGlobalKeys();
  useEffect(preloadPages, []);
  return (
    <div className="flex h-full flex-col">
      <a
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.querySelector<HTMLElement>('#main')?.focus();
        }}
        className="-top-12 absolute left-2 z-80 rounded-sm bg-accent px-3 py-1.5 text-on-accent focus:top-2"
      >
        {text.skipToContent}
      </a>
      <div className="flex min-h-0 flex-1">
        <Sidebar />
        <main
          id="main"
          tabIndex={-1}
          className="flex min-w-0 flex-1 flex-col bg-canvas outline-none"
        >
          <Banner />
          <ErrorBoundary key={location.pathname.split('/')[1] ?? ''}>
            <Suspense fallback={<PageFallback />}>
              <Routes>
                <Route path="/" element={<Navigate to="/containers" replace />} />
                <Route path="/containers" element={<ContainersPage />} />
                <Route path="/containers/:id" element={<ContainerPage />} />
                <Route path="/containers/:id/:tab" element={<ContainerPage />} />
                <Route path="/projects/:project/logs" element={<ProjectLogsPage />} />
                <Route path="/images" element={<ImagesPage />} />
                <Route path="/images/:id" element={<ImagePage />} />
                <Route path="/volumes" element={<VolumesPage />} />
                <Route path="/volumes/:id" element={<VolumePage />} />
                <Route path="/networks" element={<NetworksPage />} />
                <Route path="/networks/:id" element={<NetworkPage />} />
                <Route path="/disk" element={<DiskPage />} />
                <Route path="/settings" element={<SettingsPage />} />
                <Route path="*" element={<NotFound />} />
              </Routes>
            </Suspense>
          </ErrorBoundary>
        </main>
      </div>
      <StatusBar />
      <Dialogs />
    </div>
  );
}

function Dialogs() {
  const isPaletteOpen = useStore(ui, (state) => state.isPaletteOpen);
  const run = useStore(ui, (state) => state.run);
  const pull = useStore(ui, (state) => state.pull);
  return (
    <Suspense fallback={null}>
      <Mounted isOpen={isPaletteOpen}>
        {(isOpen) => (
          <Palette isOpen={isOpen} onClose={() => ui.setState({ isPaletteOpen: false })} />
        )}
      </Mounted>
      {run !== undefined && (
        <RunDialog initialImage={run.image} onClose={() => ui.setState({ run: undefined })} />
      )}
      {pull !== undefined && (
        <PullDialog
          initialReference={pull.reference}
          onClose={() => ui.setState({ pull: undefined })}
        />
      )}
    </Suspense>
  );
}

/** Loads its content at the first opening and keeps it from then on. */
function Mounted({
  isOpen,
  children,
}: {
  readonly isOpen: boolean;
  readonly children: (isOpen: boolean) => React.ReactNode;
}) {
  const [wasOpen, setWasOpen] = useState(isOpen);
  if (isOpen && !wasOpen) {
    setWasOpen(true);
  }
  return wasOpen || isOpen ? children(isOpen) : null;
}

function PageFallback() {
  return (
    <div className="flex flex-col gap-4 p-5">
      <Skeleton className="h-5 w-40" />
      <Skeleton className="h-8 w-72" />
    </div>
  );
}

function NotFound() {
  const navigate = useNavigate();
  return (
    <EmptyState icon={Compass} title={text.notFound.title}>
      <Button
        onClick={() => {
          void navigate('/containers');
        }}
      >
        {text.notFound.back}
      </Button>
    </EmptyState>
  );
}

/** Shortcuts that work everywhere: the palette, the pages by number, the settings. */
function useGlobalKeys(): void {
  const navigate = useNavigate();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      const isMod = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
      // In a terminal these keys are the program's: Ctrl+K cuts a line there.
      const isInTerminal =
        event.target instanceof Element && event.target.closest('.xterm') !== null;
      if (!isMod || (isInTerminal && !event.metaKey)) {
        return;
      }
      if (event.key === 'k' || event.key === 'K') {
        event.preventDefault();
        ui.setState((state) => ({ isPaletteOpen: !state.isPaletteOpen }));
      } else if (event.key === ',') {
        event.preventDefault();
        void navigate('/settings');
      } else {
        const page = PAGES.find((candidate) => candidate.digit === event.key);
        if (page !== undefined) {
          event.preventDefault();
          void navigate(page.path);
        }
      }
    };
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, [navigate]);
}
