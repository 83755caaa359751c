import { SCRIPTS } from '../../../server/engine/redis/scripts.ts'

/** Whether a command to Redis calls the script of this name: for `loseAnswerTo`. */
export function callOf(name: keyof typeof SCRIPTS): (command: readonly string[]) => boolean {
  const { sha, source } = SCRIPTS[name]
  return ([, script]) => script === sha || script === source
}
