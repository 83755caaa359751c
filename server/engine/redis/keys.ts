/**
 * The names of everything that Jobcast keeps in Redis. All keys of a partition carry its hash tag, so that they live
 * on one node of a cluster. The scripts put these names behind the prefix of the partition:
 *
 * | name | what |
 * |---|---|
 * | `job:<id>` | hash: the job and its status events (codec.ts) |
 * | `payload:<id>`, `result:<id>` | string: where it is too long for a small hash |
 * | `lines:<id>` | list: retained `log` and `chunk` events |
 * | `jobs` | sorted set: every job, by order of submission |
 * | `queue:<type>` | sorted set: queued jobs, by score (lua/lib/queue.lua) |
 * | `scheduled` | sorted set: scheduled jobs, by the time they are due |
 * | `leases` | sorted set: jobs that run, by the end of their lease |
 * | `expiring` | sorted set: terminal jobs, by the time they are forgotten |
 * | `counts`, `runs` | hashes: `<status> <type>`, and for what runs and is completed `<type>` -> jobs (lua/lib/counts.lua) |
 * | `order` | hash with a counter: the last order given to the jobs of a submission, for `jobs` and scores |
 * | `types` | hash: type -> registration (JSON) or empty |
 * | `routes`, `pools`, `pool:<pool>`, `ready:<pool>`, `idle:<pool>`, `waiting` | who runs what, and who waits (lua/lib/pools.lua, idle.lua) |
 * | `claim:<worker>:<claim>` | string: what a claim got, for as long as its leases |
 * | `once:<digest>` | string: an idempotency record, for as long as it is remembered |
 * | `whole`, `mending` | strings: there while no script has come to no end (lua/lib/whole.lua); how far mending is (lua/mend.lua) |
 * | `listening` | string: there, for as long as it lives, where somebody listens on `submitted` |
 * | `epoch` | string: a mark that is gone once everything was wiped, which begins another epoch |
 * | `format` | string: which versions of Jobcast may use all this (server.ts) |
 * | `present`, `presence:<id>` | set of processes; string: what one says of itself, for as long as it is alive |
 * | `secret:<name>` | string |
 *
 * and publish on the channels `watch:<id>` (a job's events), `worker:<worker>` (wake-ups, jobs handed
 * over and cancel requests), `submitted` (types and tags of new jobs) and `due` (in how many ms the next scheduled job is
 * due, where one was stored that comes before all others).
 */
export interface Partition {
  /** What all of its keys and channels begin with: `{jobcast:0}:`. */
  readonly prefix: string
}

/**
 * Which partition a key belongs to; nothing else knows. There is one. The scripts know of no other than the one that they are
 * called with, so several would each be what the one is today: with its own queues, leases, upkeep and counts.
 */
export class Keyspace {
  /**
   * What goes over many jobs or types in one call takes them from here. The type has as many members as there are partitions:
   * with another one every such place has to say how it sorts what it asks, and joins what is answered.
   */
  readonly every: readonly [Partition]

  constructor(prefix: string) {
    this.every = [{ prefix: `{${prefix}:0}:` }]
  }

  /** It holds what belongs to no job and no type: presences, secrets, marks. */
  get home(): Partition {
    return this.every[0]
  }

  /** Says where a job lives, with all that belongs to it and what is published of it. */
  ofJob(_jobId: string): Partition {
    return this.every[0]
  }

  /** Says where a type lives, with its queue, its runners and its jobs, whose ids must then tell the same. */
  ofType(_type: string): Partition {
    return this.every[0]
  }
}

export function jobChannel(partition: Partition, jobId: string): string {
  return `${partition.prefix}watch:${jobId}`
}

export function submittedChannel(partition: Partition): string {
  return `${partition.prefix}submitted`
}

export function dueChannel(partition: Partition): string {
  return `${partition.prefix}due`
}

/** A worker's name as it stands in keys, channels and leases: without white space or slashes. */
export function workerName(workerId: string): string {
  return encodeURIComponent(workerId)
}

/** A claim's name as it stands in keys and messages. */
export function claimName(claimId: string): string {
  return encodeURIComponent(claimId)
}

export function workerChannel(partition: Partition, worker: string): string {
  return `${partition.prefix}worker:${worker}`
}
