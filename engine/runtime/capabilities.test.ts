import { describe, expect, it } from 'vitest';
import {
  ALL_CAPABILITIES,
  capabilitiesOfMask,
  DEFAULT_CAPABILITIES,
  effectiveCapabilities,
} from './capabilities.ts';

const all = new Set(ALL_CAPABILITIES);

describe('capabilities', () => {
  it('mask › decodes every bit of a full mask', () => {
    expect(capabilitiesOfMask('000001ffffffffff').size).toBe(41);
  });

  it('mask › a cleared bit is one capability less', () => {
    expect(capabilitiesOfMask('000001fffeffffff').has('CAP_SYS_RESOURCE')).toBe(false);
  });

  it('default › is Docker’s fourteen', () => {
    expect(effectiveCapabilities({ isPrivileged: false, add: [], drop: [] }, all)).toEqual(
      DEFAULT_CAPABILITIES,
    );
    expect(DEFAULT_CAPABILITIES).toHaveLength(14);
  });

  it('drop ALL, add one › leaves that one', () => {
    expect(
      effectiveCapabilities({ isPrivileged: false, add: ['net_admin'], drop: ['all'] }, all),
    ).toEqual(['CAP_NET_ADMIN']);
  });

  it('add ALL, drop one › leaves the others', () => {
    const names = effectiveCapabilities(
      { isPrivileged: false, add: ['ALL'], drop: ['CAP_SYS_ADMIN'] },
      all,
    );
    expect(names).toHaveLength(40);
    expect(names).not.toContain('CAP_SYS_ADMIN');
  });

  it('privileged › is cut to what the engine has', () => {
    const available = new Set(ALL_CAPABILITIES.filter((name) => name !== 'CAP_SYS_RESOURCE'));
    expect(
      effectiveCapabilities({ isPrivileged: true, add: [], drop: [] }, available),
    ).not.toContain('CAP_SYS_RESOURCE');
  });

  it('add › refuses an unknown name', () => {
    expect(() =>
      effectiveCapabilities({ isPrivileged: false, add: ['CAP_FLY'], drop: [] }, all),
    ).toThrow('CAP_FLY');
  });
});
