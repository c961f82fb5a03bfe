import { expect, it } from 'vitest';
import type { ImageInspect } from '../../images/contract.ts';
import { imageInspectFor } from './image-shapes.ts';

const IMAGE: ImageInspect = {
  Id: `sha256:${'a'.repeat(64)}`,
  RepoTags: ['app:latest'],
  RepoDigests: [],
  Parent: '',
  Comment: '',
  DockerVersion: '',
  Author: '',
  Config: { Volumes: { '/data': {} } },
  Architecture: 'amd64',
  Os: 'linux',
  Size: 1,
  GraphDriver: { Data: null, Name: 'overlay2' },
  RootFS: { Type: 'layers' },
  Metadata: { LastTagTime: '0001-01-01T00:00:00Z' },
};

it('inspect before 1.45 has the configuration of the container that the image was made from', () => {
  expect(imageInspectFor(IMAGE, '1.44')).toMatchObject({
    ContainerConfig: { Volumes: { '/data': {} }, Cmd: null, Hostname: '' },
  });
  expect(imageInspectFor(IMAGE, '1.45')).not.toHaveProperty('ContainerConfig');
});
