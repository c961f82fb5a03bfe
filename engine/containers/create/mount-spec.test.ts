import { describe, expect, it } from 'vitest';
import type { Mount } from '../../api/types/container.ts';
import { mergeTmpfsOptions } from '../life/mounts.ts';
import {
  checkMount,
  ownMounts,
  parseBind,
  parseMount,
  parseVolumesFrom,
  tmpfsMountOptions,
} from './mount-spec.ts';

describe('-v', () => {
  it('SOURCE:TARGET is a bind that makes its source', () => {
    expect(parseBind('/host/./dir/:/in', '')).toMatchObject({
      type: 'bind',
      source: '/host/dir',
      destination: '/in',
      isWritable: true,
      propagation: 'rprivate',
      createsSource: true,
      mode: '',
    });
  });

  it('NAME:TARGET:ro is a read-only volume', () => {
    expect(parseBind('data:/in:ro', '')).toMatchObject({
      type: 'volume',
      name: 'data',
      isWritable: false,
      copiesData: true,
      mode: 'ro',
    });
  });

  it('TARGET alone is an anonymous volume', () => {
    expect(parseBind('/in', '')).toMatchObject({ type: 'volume', name: '', destination: '/in' });
  });

  it('modes combine', () => {
    expect(parseBind('/a:/b:ro,z,rslave', '')).toMatchObject({
      isWritable: false,
      propagation: 'rslave',
      mode: 'ro,z,rslave',
    });
    expect(parseBind('v:/b:nocopy', '')).toMatchObject({ copiesData: false });
  });

  it.each([
    ['', "invalid volume specification: ''"],
    [':/x', "invalid volume specification: ':/x'"],
    ['/a:ro', "invalid volume specification: '/a:ro'"],
    ['/a:/b:rw:x', "invalid volume specification: '/a:/b:rw:x'"],
    ['/a:/b:rox', 'invalid mode: rox'],
    ['/a:/b:ro,rw', 'invalid mode: ro,rw'],
    ['/a:/', "destination can't be '/'"],
    ['/a:relative', 'mount path must be absolute'],
    ['v:/x:shared', 'field BindOptions must not be specified'],
    ['/a:/b:nocopy', 'field VolumeOptions must not be specified'],
  ])('refuses %j', (raw, message) => {
    expect(() => parseBind(raw, '')).toThrow(message);
  });
});

describe('--mount', () => {
  const bind: Mount = { Type: 'bind', Source: '/a', Target: '/b' };

  it.each<[Mount, string]>([
    [
      { Type: 'bind', Source: '/a' },
      'invalid mount config for type "bind": field Target must not be empty',
    ],
    [{ Type: 'bind', Target: '/b' }, 'field Source must not be empty'],
    [{ ...bind, Target: '/' }, "invalid specification: destination can't be '/'"],
    [{ ...bind, Source: 'a' }, "invalid mount path: 'a' mount path must be absolute"],
    [{ ...bind, BindOptions: { Propagation: 'odd' } }, 'invalid propagation mode: odd'],
    [{ ...bind, VolumeOptions: {} }, 'field VolumeOptions must not be specified'],
    [{ ...bind, BindOptions: { ReadOnlyNonRecursive: true } }, 'mount options conflict'],
    [
      { Type: 'volume', Source: 'v', Target: '/b', BindOptions: {} },
      'field BindOptions must not be specified',
    ],
    [
      { Type: 'volume', Target: '/b', ReadOnly: true },
      'must not set ReadOnly mode when using anonymous volumes',
    ],
    [
      { Type: 'volume', Target: '/b', VolumeOptions: { Subpath: 'x' } },
      'must not set Subpath when using anonymous volumes',
    ],
    [
      { Type: 'volume', Source: 'v', Target: '/b', VolumeOptions: { Subpath: '../x' } },
      'subpath must be a relative path within the volume',
    ],
    [{ Type: 'tmpfs', Source: 'x', Target: '/b' }, 'field Source must not be specified'],
    [
      { Type: 'tmpfs', Target: '/b', TmpfsOptions: { Options: [['suid']] } },
      'invalid option: suid',
    ],
    [{ Type: 'image', Target: '/b' }, 'field Source must not be empty'],
    [
      { Type: 'npipe', Source: 'x', Target: '/b' },
      'invalid mount config for type "npipe": mount type unknown',
    ],
  ])('refuses %j', (mount, message) => {
    expect(() => checkMount(mount)).toThrow(message);
  });

  it('a missing bind source is not made unless asked for', () => {
    expect(parseMount(bind).createsSource).toBe(false);
    expect(parseMount({ ...bind, BindOptions: { CreateMountpoint: true } }).createsSource).toBe(
      true,
    );
  });

  it('images are read-only', () => {
    expect(parseMount({ Type: 'image', Source: 'busybox', Target: '/b' })).toMatchObject({
      type: 'image',
      name: 'busybox',
      isWritable: false,
    });
  });

  it('one target can be mounted once', () => {
    expect(() => ownMounts({ Binds: ['/a:/x', 'v:/x'] })).toThrow('Duplicate mount point: /x');
    expect(() => ownMounts({ Binds: ['/a:/x/'], Tmpfs: { '/x': '' } })).toThrow(
      'Duplicate mount point: /x',
    );
    expect(() =>
      ownMounts({ Binds: ['/a:/x'], Mounts: [{ Type: 'tmpfs', Target: '/x' }] }),
    ).toThrow('Duplicate mount point: /x');
  });
});

describe('tmpfs', () => {
  it('size, mode and flags', () => {
    const mount = {
      Type: 'tmpfs',
      Target: '/t',
      ReadOnly: true,
      TmpfsOptions: { SizeBytes: 64 * 2 ** 20, Mode: 0o1770, Options: [['exec']] },
    };
    expect(tmpfsMountOptions(mount)).toEqual(['ro', 'mode=1770', 'size=64m', 'exec']);
    expect(tmpfsMountOptions({ Target: '/t', TmpfsOptions: { SizeBytes: 1001 } })).toEqual([
      'size=1001',
    ]);
  });

  it('later options win', () => {
    expect(mergeTmpfsOptions(['exec', 'size=1m', 'size=2m'])).toEqual([
      'nosuid',
      'nodev',
      'exec',
      'size=2m',
    ]);
  });
});

describe('--volumes-from', () => {
  it('takes a mode', () => {
    expect(parseVolumesFrom('web')).toEqual({ ref: 'web', mode: 'rw' });
    expect(parseVolumesFrom('web:ro')).toEqual({ ref: 'web', mode: 'ro' });
  });

  it.each(['web:rslave', 'web:nocopy', 'web:odd'])('refuses %s', (spec) => {
    expect(() => parseVolumesFrom(spec)).toThrow('invalid mode');
  });
});
