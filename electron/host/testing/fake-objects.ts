/** A container of the fake. */
export interface FakeContainer {
  readonly id: string;
  name: string;
  imageId: string;
  image: string;
  state: string;
  startedAt: string;
  finishedAt: string;
  exitCode: number;
  hasTty: boolean;
  labels: Record<string, string>;
  mounts: { Type: string; Name?: string; Source: string; Destination: string; RW: boolean }[];
  networks: Record<string, { NetworkID: string; IPAddress: string }>;
  ports: { IP?: string; PrivatePort: number; PublicPort?: number; Type: string }[];
  /** Messages with their times, oldest first. */
  log: { stamp: string; isStderr: boolean; text: string }[];
  cpuNs: number;
}

/** An image of the fake. */
export interface FakeImage {
  Id: string;
  RepoTags: string[];
  RepoDigests: string[];
  Created: number;
  Size: number;
  SharedSize: number;
  Containers: number;
  Labels: Record<string, string>;
}

/** A volume of the fake. */
export interface FakeVolume {
  Name: string;
  Driver: string;
  Mountpoint: string;
  CreatedAt: string;
  Labels: Record<string, string>;
  Scope: string;
  size: number;
}

/** One frame of the multiplexed stream. */
export function frame(isStderr: boolean, text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = isStderr ? 2 : 1;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

/** A message of a log as the engine sends it. */
export function encodeLog(
  entry: { stamp: string; isStderr: boolean; text: string },
  isFramed: boolean,
): Buffer {
  const text = `${entry.stamp} ${entry.text}\n`;
  return isFramed ? frame(entry.isStderr, text) : Buffer.from(text);
}

/** As in a list. */
export function listed(it: FakeContainer): Record<string, unknown> {
  return {
    Id: it.id,
    Names: [`/${it.name}`],
    Image: it.image,
    ImageID: it.imageId,
    Command: 'sh',
    Created: 1_767_323_045,
    State: it.state,
    Status: it.state === 'running' ? 'Up 3 hours' : `Exited (${it.exitCode}) 3 hours ago`,
    Ports: it.ports,
    Labels: it.labels,
    NetworkSettings: { Networks: it.networks },
    Mounts: it.mounts,
  };
}

/** As inspected. */
export function inspected(it: FakeContainer): Record<string, unknown> {
  const ports = Object.fromEntries(
    it.ports.map((port) => [
      `${port.PrivatePort}/${port.Type}`,
      port.PublicPort === undefined
        ? null
        : [{ HostIp: port.IP ?? '', HostPort: String(port.PublicPort) }],
    ]),
  );
  return {
    Id: it.id,
    Name: `/${it.name}`,
    Created: '2026-01-02T03:04:05Z',
    Path: 'sh',
    Args: [],
    Image: it.imageId,
    RestartCount: 2,
    State: {
      Status: it.state,
      Running: it.state === 'running',
      ExitCode: it.exitCode,
      StartedAt: it.startedAt,
      FinishedAt: it.finishedAt,
    },
    Config: { Image: it.image, Tty: it.hasTty, Labels: it.labels },
    HostConfig: { NetworkMode: 'bridge' },
    Mounts: it.mounts,
    NetworkSettings: { Ports: ports, Networks: it.networks },
  };
}
