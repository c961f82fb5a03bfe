import { join } from 'node:path';
import { KeyedLock } from '../base/async.ts';
import { ConflictError, messageOf, SystemError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Container } from './container.ts';
import type { ContainerPorts, ContainerSettings } from './ports.ts';
import { RecordStore } from './record.ts';
import { Registry } from './registry.ts';

/** Attributes that an event has besides image, name and labels. */
export type EventAttributes = Readonly<Record<string, string>>;

/** A machine under heavy load takes seconds to start a process; one that takes longer hangs. */
const START_TIMEOUT_MS = 120_000;

/**
 * What all operations share: the outside, the records, one lock per container. Operations hold the lock only while they
 * change state; nobody waits for a process under it.
 */
export class ContainerCore {
  readonly ports: ContainerPorts;
  readonly settings: ContainerSettings;
  readonly logger: Logger;
  readonly registry = new Registry();
  readonly store: RecordStore;
  readonly lock = new KeyedLock();
  /** True once the engine goes down: exits seen from now on are settled by the next start. */
  isShuttingDown = false;

  constructor(ports: ContainerPorts, settings: ContainerSettings) {
    this.ports = ports;
    this.settings = settings;
    this.logger = ports.logger;
    this.store = new RecordStore(settings.root, ports.logger);
  }

  /**
   * Does something that waits for the OCI runtime, with a limit.
   *
   * @throws SystemError  it took too long; the work was aborted
   */
  async withRuntimeLimit<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limitMs = this.settings.startTimeoutMs ?? START_TIMEOUT_MS;
    const signal = AbortSignal.timeout(limitMs);
    try {
      return await work(signal);
    } catch (cause) {
      if (signal.aborted) {
        throw new SystemError(`the OCI runtime did not ${what} within ${limitMs} ms`, { cause });
      }
      throw cause;
    }
  }

  /** Folder of a container's shim and bundle. */
  runDir(id: string): string {
    return join(this.settings.runRoot, id);
  }

  /** Path of a file in the container's folder. */
  filePath(id: string, name: string): string {
    return join(this.store.folder(id), name);
  }

  /** The newest log file; '' for drivers that keep none. */
  logPath(container: Container): string {
    const driver = container.record.hostConfig.LogConfig?.Type ?? '';
    return driver === 'json-file' || driver === 'local'
      ? this.filePath(container.id, `${container.id}-json.log`)
      : '';
  }

  /** Publishes a container event with Docker's attributes. */
  publish(container: Container, action: string, attributes: EventAttributes = {}): void {
    const { config, name } = container.record;
    this.ports.events.publish({
      type: 'container',
      action,
      id: container.id,
      attributes: {
        ...attributes,
        ...config.Labels,
        ...(config.Image ? { image: config.Image } : {}),
        name,
      },
    });
  }

  /** Writes the record; a failure is logged, since the state in memory stays right. */
  async saveState(container: Container, isDurable = false): Promise<void> {
    if (container.isRemoved) {
      return;
    }
    try {
      await this.store.save(container.record, isDurable);
    } catch (error) {
      this.logger.error('container record cannot be written', {
        id: container.id,
        problem: messageOf(error),
      });
    }
  }

  /** @throws ConflictError  unless the container runs; 409 with Docker's words */
  assertRunning(container: Container): void {
    if (!container.record.state.isRunning) {
      throw new ConflictError(`container ${container.id} is not running`);
    }
  }

  /** @throws ConflictError */
  assertNotRestarting(container: Container): void {
    if (container.record.state.isRestarting) {
      throw new ConflictError(
        `Container ${container.id} is restarting, wait until the container is running`,
      );
    }
  }
}
