import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The files that take longest, as measured, the longest first. */
const LONGEST = [
  'fault/worker-death',
  'conformance/sqlite',
  'fault/gateway-readers',
  'fault/handlers',
  'conformance/redis',
  'fault/redis-refusals',
  'fault/redis-failover',
  'fault/gateway-proxies',
  'fault/gateway-death',
  'integration/redis-connection',
  'fault/gateway-clients',
  'browser/looks',
  'integration/processes',
  'browser/submitting',
  'fault/pubsub',
  'fault/redis-death',
  'integration/places',
  'fault/redis-connections',
  'conformance/transports/transports',
  'browser/restart',
  'integration/start',
]

/** A fresh clone knows no durations yet: without this, a long file that begins late runs alone in the end. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
      return place === -1 ? LONGEST.length : place
    }
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other))
  }
}
