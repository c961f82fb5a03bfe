/**
 * DNS messages on the wire (RFC 1035, EDNS size from RFC 6891): as much as a responder needs that answers A, AAAA and PTR
 * itself and passes everything else on unread. Input is hostile: a parser returns undefined, it never throws.
 */

/** Record types that are looked at. */
export const TYPE = { A: 1, PTR: 12, MX: 15, AAAA: 28, OPT: 41, ANY: 255 } as const;

/** Response codes. */
export const RCODE = {
  ok: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
} as const;

const HEADER_BYTES = 12;
const CLASS_IN = 1;
/** What every client takes over UDP; more only if it says so. */
const MIN_UDP_BYTES = 512;
const MAX_TCP_BYTES = 65_535;

/** A query with exactly one question. */
export interface Query {
  readonly id: number;
  readonly opcode: number;
  readonly isRecursionDesired: boolean;
  /** As sent, without the final dot; dots inside labels are refused. */
  readonly name: string;
  readonly type: number;
  readonly recordClass: number;
  /** The question section as sent, to be repeated in the answer. */
  readonly question: Uint8Array;
  /** Largest answer over UDP, in bytes. */
  readonly udpLimitBytes: number;
  /** True when the query has an OPT record, so that the answer gets one too. */
  readonly hasEdns: boolean;
}

interface Name {
  readonly text: string;
  readonly end: number;
}

/** Reads a name without compression, as it stands in questions. */
function readPlainName(view: DataView, start: number): Name | undefined {
  const labels: string[] = [];
  let at = start;
  let total = 0;
  for (;;) {
    if (at >= view.byteLength) {
      return undefined;
    }
    const length = view.getUint8(at);
    at += 1;
    if (length === 0) {
      return { text: labels.join('.'), end: at };
    }
    total += length + 1;
    if (length > 63 || total > 254 || at + length > view.byteLength) {
      return undefined;
    }
    let label = '';
    for (let index = 0; index < length; index += 1) {
      label += String.fromCodePoint(view.getUint8(at + index));
    }
    if (label.includes('.')) {
      return undefined;
    }
    labels.push(label);
    at += length;
  }
}

/** Position after a name that may end in a compression pointer. */
function skipName(view: DataView, start: number): number | undefined {
  let at = start;
  while (at < view.byteLength) {
    const length = view.getUint8(at);
    if (length === 0) {
      return at + 1;
    }
    if (length >= 0xc0) {
      return at + 2 <= view.byteLength ? at + 2 : undefined;
    }
    if (length > 63) {
      return undefined;
    }
    at += length + 1;
  }
  return undefined;
}

/** UDP size of the OPT record, 0 when there is none, undefined when records are malformed. */
function readEdnsSize(view: DataView, start: number, recordCount: number): number | undefined {
  let at = start;
  let size = 0;
  for (let index = 0; index < recordCount; index += 1) {
    const afterName = skipName(view, at);
    if (afterName === undefined || afterName + 10 > view.byteLength) {
      return undefined;
    }
    if (view.getUint16(afterName) === TYPE.OPT) {
      size = view.getUint16(afterName + 2);
    }
    at = afterName + 10 + view.getUint16(afterName + 8);
    if (at > view.byteLength) {
      return undefined;
    }
  }
  return size;
}

/** Reads a query; undefined for answers, other than one question, and anything malformed. */
export function parseQuery(bytes: Uint8Array): Query | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES) {
    return undefined;
  }
  const flags = view.getUint16(2);
  if ((flags & 0x8000) !== 0 || view.getUint16(4) !== 1) {
    return undefined;
  }
  const name = readPlainName(view, HEADER_BYTES);
  if (name === undefined || name.end + 4 > bytes.length) {
    return undefined;
  }
  const records = view.getUint16(6) + view.getUint16(8) + view.getUint16(10);
  const ednsSize = readEdnsSize(view, name.end + 4, records);
  if (ednsSize === undefined) {
    return undefined;
  }
  return {
    id: view.getUint16(0),
    opcode: (flags >> 11) & 15,
    isRecursionDesired: (flags & 0x0100) !== 0,
    name: name.text,
    type: view.getUint16(name.end),
    recordClass: view.getUint16(name.end + 2),
    question: bytes.subarray(HEADER_BYTES, name.end + 4),
    udpLimitBytes: Math.max(MIN_UDP_BYTES, ednsSize),
    hasEdns: ednsSize > 0,
  };
}

/** One record of an answer; its name is that of the question. */
export interface AnswerRecord {
  readonly type: number;
  readonly ttlSec: number;
  /** Record data, at most 65,535 bytes. */
  readonly data: Uint8Array;
}

/** Data of an A (4 bytes) or AAAA (16 bytes) record. */
export function addressData(value: bigint, byteLength: 4 | 16): Uint8Array {
  const data = new Uint8Array(byteLength);
  for (let index = 0; index < byteLength; index += 1) {
    data[index] = Number((value >> BigInt(8 * (byteLength - 1 - index))) & 255n);
  }
  return data;
}

/** Data of a PTR record; labels that are too long are cut to 63 bytes, the name to 255. */
export function nameData(name: string): Uint8Array {
  const parts: number[] = [];
  for (const label of name.split('.').filter((part) => part !== '')) {
    const bytes = [...Buffer.from(label, 'utf8').subarray(0, 63)];
    if (parts.length + bytes.length + 2 > 255) {
      break;
    }
    parts.push(bytes.length, ...bytes);
  }
  return Uint8Array.from([...parts, 0]);
}

/** What to answer. */
export interface Answer {
  readonly rcode: number;
  readonly records: readonly AnswerRecord[];
  /** Transport decides how much fits; what does not is left out and marked as truncated. */
  readonly transport: 'udp' | 'tcp';
}

/** Writes the answer to a query. */
export function encodeAnswer(query: Query, answer: Answer): Uint8Array {
  const limit = answer.transport === 'udp' ? query.udpLimitBytes : MAX_TCP_BYTES;
  const optBytes = query.hasEdns ? 11 : 0;
  let size = HEADER_BYTES + query.question.length + optBytes;
  const records: AnswerRecord[] = [];
  for (const record of answer.records) {
    if (size + 12 + record.data.length > limit) {
      break;
    }
    size += 12 + record.data.length;
    records.push(record);
  }
  const isTruncated = records.length < answer.records.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, query.id);
  const recursionDesired = query.isRecursionDesired ? 0x0100 : 0;
  const truncated = isTruncated ? 0x0200 : 0;
  view.setUint16(2, 0x8080 | (query.opcode << 11) | recursionDesired | truncated | answer.rcode);
  view.setUint16(4, 1);
  view.setUint16(6, records.length);
  view.setUint16(10, query.hasEdns ? 1 : 0);
  bytes.set(query.question, HEADER_BYTES);
  let at = HEADER_BYTES + query.question.length;
  for (const record of records) {
    // The name is a pointer to that of the question, right after the header.
    view.setUint16(at, 0xc000 | HEADER_BYTES);
    view.setUint16(at + 2, record.type);
    view.setUint16(at + 4, CLASS_IN);
    view.setUint32(at + 6, record.ttlSec);
    view.setUint16(at + 10, record.data.length);
    bytes.set(record.data, at + 12);
    at += 12 + record.data.length;
  }
  if (query.hasEdns) {
    view.setUint16(at + 1, TYPE.OPT);
    view.setUint16(at + 3, 4096);
  }
  return bytes;
}

/** True for a query of the Internet class. */
export function isInternetClass(query: Query): boolean {
  return query.recordClass === CLASS_IN;
}

/**
 * Judges an upstream server's message.
 *
 * @returns its response code, or undefined when it is not an answer to this query
 */
export function rcodeOfReply(
  query: Query,
  upstreamId: number,
  reply: Uint8Array,
): number | undefined {
  if (reply.length < HEADER_BYTES) {
    return undefined;
  }
  const view = new DataView(reply.buffer, reply.byteOffset, reply.byteLength);
  const flags = view.getUint16(2);
  if (view.getUint16(0) !== upstreamId || (flags & 0x8000) === 0) {
    return undefined;
  }
  if (view.getUint16(4) > 0) {
    const name = readPlainName(view, HEADER_BYTES);
    const isSame =
      name !== undefined &&
      name.text.toLowerCase() === query.name.toLowerCase() &&
      name.end + 4 <= reply.length &&
      view.getUint16(name.end) === query.type;
    if (!isSame) {
      return undefined;
    }
  }
  return flags & 15;
}

/** A copy of a message under another id. */
export function withId(message: Uint8Array, id: number): Uint8Array {
  const copy = Uint8Array.from(message);
  new DataView(copy.buffer).setUint16(0, id);
  return copy;
}

/** Writes a query; for tests and probes. */
export function encodeQuery(id: number, name: string, type: number, ednsSize = 0): Uint8Array {
  const question = nameData(name);
  const bytes = new Uint8Array(HEADER_BYTES + question.length + 4 + (ednsSize > 0 ? 11 : 0));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id);
  view.setUint16(2, 0x0100);
  view.setUint16(4, 1);
  bytes.set(question, HEADER_BYTES);
  view.setUint16(HEADER_BYTES + question.length, type);
  view.setUint16(HEADER_BYTES + question.length + 2, CLASS_IN);
  if (ednsSize > 0) {
    view.setUint16(10, 1);
    view.setUint16(HEADER_BYTES + question.length + 5, TYPE.OPT);
    view.setUint16(HEADER_BYTES + question.length + 7, ednsSize);
  }
  return bytes;
}
