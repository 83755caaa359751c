/** What a prompt asks for, as far as its words are known; the rest is left to chance. */
export interface Brief {
  readonly subject: Subject | null
  readonly mood: Mood | null
  readonly water: boolean
  readonly aurora: boolean
  readonly snow: boolean
  /** Hue in degrees that the prompt names. */
  readonly hue: number | null
}

export type Subject =
  | 'mountains'
  | 'hills'
  | 'forest'
  | 'dunes'
  | 'city'
  | 'sea'
  | 'flame'
  | 'nebula'
  | 'bloom'
  | 'silk'
export type Mood = 'sunset' | 'dawn' | 'day' | 'night' | 'storm' | 'autumn' | 'winter'

const SUBJECTS: Record<Subject, RegExp> = {
  flame: /\b(fire|flames?|lava|ember|embers|volcano|inferno|burning|phoenix|dragon|blaze|torch)\b/,
  nebula:
    /\b(galax(y|ies)|nebulas?|nebulae|space|cosmos|cosmic|universe|stardust|supernova|interstellar|planets?)\b/,
  bloom:
    /\b(flowers?|blossoms?|roses?|bloom|blooming|petals?|garden|dahlia|lotus|tulips?|peony|lily|bouquet)\b/,
  city: /\b(city|cities|skyline|town|metropolis|skyscrapers?|neon|cyberpunk|downtown|street|tokyo|york|london|paris)\b/,
  forest: /\b(forests?|trees?|woods?|woodland|pines?|jungle|taiga|fox|deer|owl|bear|wolf)\b/,
  dunes: /\b(deserts?|dunes?|sand|sahara|camels?|mars|oasis)\b/,
  mountains: /\b(mountains?|alps|peaks?|himalayas?|cliffs?|summit|fjords?|canyon|valley|glacier)\b/,
  sea: /\b(oceans?|seas?|beach|waves?|sail|sailing|boats?|ships?|island|coast|shore|whales?|harbou?r|horizon)\b/,
  hills:
    /\b(hills?|meadows?|fields?|countryside|farm|prairie|landscape|village|vineyard|sheep|horses?|road)\b/,
  silk: /\b(abstract|silk|flow|waves of|marble|liquid|ink|smoke|dream|dreams|music|jazz|love|soul|mind|glass)\b/,
}

const MOODS: Record<Mood, RegExp> = {
  night:
    /\b(night|midnight|moon|moonlight|moonlit|stars?|starry|dark|darkness|nocturne|aurora|northern lights)\b/,
  sunset: /\b(sunset|dusk|evening|twilight|golden hour|sundown)\b/,
  dawn: /\b(dawn|sunrise|morning|daybreak|mist|misty|fog|foggy|pastel|spring)\b/,
  storm: /\b(storm|stormy|rain|rainy|thunder|tempest|grey|gray|gloomy|clouds?|cloudy)\b/,
  autumn: /\b(autumn|fall|october|harvest|maple)\b/,
  winter: /\b(winter|snow|snowy|ice|icy|frost|frozen|arctic|polar|glacier|christmas)\b/,
  day: /\b(day|sunny|summer|noon|bright|blue sky|sunshine|tropical)\b/,
}

const HUES: readonly (readonly [RegExp, number])[] = [
  [/\b(red|crimson|scarlet|ruby|blood|cherry)\b/, 25],
  [/\b(orange|copper|amber|rust|pumpkin)\b/, 55],
  [/\b(yellow|gold|golden|honey|lemon|saffron)\b/, 90],
  [/\b(green|emerald|jade|moss|mint|lime)\b/, 150],
  [/\b(teal|turquoise|cyan|aqua)\b/, 195],
  [/\b(blue|azure|sapphire|cobalt|indigo)\b/, 255],
  [/\b(purple|violet|lavender|amethyst|lilac)\b/, 300],
  [/\b(pink|magenta|fuchsia|rose|coral)\b/, 355],
]

const WATER =
  /\b(lakes?|rivers?|ponds?|water|waters|reflections?|reflecting|mirror|fjords?|oceans?|seas?|bay|harbou?r)\b/
const AURORA = /\b(aurora|auroras|northern lights|polar lights|borealis)\b/

export function readPrompt(prompt: string): Brief {
  const text = prompt.toLowerCase()
  return {
    subject: firstNamed(SUBJECTS, text),
    mood: firstNamed(MOODS, text),
    water: WATER.test(text),
    aurora: AURORA.test(text),
    snow: MOODS.winter.test(text),
    hue: HUES.find(([words]) => words.test(text))?.[1] ?? null,
  }
}

/** Where several are named, the earlier entry of the table: the more particular one. */
function firstNamed<Name extends string>(table: Record<Name, RegExp>, text: string): Name | null {
  for (const name in table) if (table[name].test(text)) return name
  return null
}
