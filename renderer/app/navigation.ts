import { Box, Database, HardDrive, Layers, type LucideIcon, Network, Settings } from 'lucide-react';
import { text } from './text.ts';

/** A page of the sidebar. */
export interface Page {
  readonly id: 'containers' | 'images' | 'volumes' | 'networks' | 'disk' | 'settings';
  readonly label: string;
  readonly path: string;
  readonly icon: LucideIcon;
  /** Ctrl or Cmd and this digit. */
  readonly digit: string;
}

/** Pages in the order of the sidebar and of the shortcuts. */
export const PAGES: readonly Page[] = [
  { id: 'containers', label: text.pages.containers, path: '/containers', icon: Box, digit: '1' },
  { id: 'images', label: text.pages.images, path: '/images', icon: Layers, digit: '2' },
  { id: 'volumes', label: text.pages.volumes, path: '/volumes', icon: Database, digit: '3' },
  { id: 'networks', label: text.pages.networks, path: '/networks', icon: Network, digit: '4' },
  { id: 'disk', label: text.pages.disk, path: '/disk', icon: HardDrive, digit: '5' },
  { id: 'settings', label: text.pages.settings, path: '/settings', icon: Settings, digit: '6' },
];

/** Name of the modifier that shortcuts use, as it is printed on the user's keyboard. */
export const MOD_KEY = navigator.platform.startsWith('Mac') ? '⌘' : 'Ctrl';
