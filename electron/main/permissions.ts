import type { Session } from 'electron';
import { isOwnUrl } from './electron-api.ts';

/** All that the page may have: writing the clipboard (copy buttons) and notifications. Reading the clipboard is not. */
const ALLOWED: ReadonlySet<string> = new Set(['clipboard-sanitized-write', 'notifications']);

/** True when a permission is granted to a page. */
export function isPermitted(permission: string, origin: string): boolean {
  return ALLOWED.has(permission) && isOwnUrl(origin);
}

/** Denies everything else, both when asked and when only looked up, and every device. */
export function restrictPermissions(session: Session): void {
  session.setPermissionRequestHandler((_contents, permission, answer, details) => {
    answer(isPermitted(permission, details.requestingUrl));
  });
  session.setPermissionCheckHandler((_contents, permission, origin) =>
    isPermitted(permission, origin),
  );
  session.setDevicePermissionHandler(() => false);
}
