import { composeFlame, composeNebula, composeSilk } from './abstract.ts'
import { composeBloom } from './bloom.ts'
import { composeLandscape } from './landscape.ts'
import { createRandom, hashText } from './random.ts'
import type { Shade } from './sky.ts'
import { type Brief, readPrompt, type Subject } from './words.ts'

/** The picture that belongs to a prompt: what light falls on each place of it. `aspect` is width by height. */
export function composeScene(prompt: string, aspect: number): Shade {
  const seed = hashText(prompt)
  const random = createRandom(seed)
  const brief = readPrompt(prompt)
  const subject = brief.subject ?? impliedSubject(brief)
  const { hue } = brief
  if (subject === 'silk') return composeSilk({ random, seed, hue })
  if (subject === 'flame') return composeFlame({ random, seed, hue })
  if (subject === 'nebula') return composeNebula({ random, seed, hue })
  if (subject === 'bloom') return composeBloom({ random, seed, hue })
  return composeLandscape({ brief, kind: subject, random, seed, aspect })
}

/** A prompt that names an hour or water, and no thing, is of a landscape; one that names nothing known is of silk. */
function impliedSubject({ mood, water, aurora }: Brief): Subject {
  if (aurora || mood !== null || water) return 'mountains'
  return 'silk'
}
