import { Tabs } from '@mantine/core'
import { useSessionStorage } from '@mantine/hooks'
import { IconBraces, IconHourglass, IconPalette, IconPhoto } from '@tabler/icons-react'
import type { ComponentType } from 'react'
import type { TypeInfo } from '../../../shared/api.ts'
import { Loading } from '../common/notices.tsx'
import classes from './composer.module.css'
import { CountdownForm } from './countdown-form.tsx'
import { JsonForm } from './json-form.tsx'
import { NoTypes } from './no-types.tsx'
import { RenderForm } from './render-form.tsx'
import { ThumbnailsForm } from './thumbnails-form.tsx'

interface SampleForm {
  readonly type: string
  readonly label: string
  readonly Icon: typeof IconPhoto
  readonly Form: ComponentType<{ isShown: boolean }>
  /** A field that the payload of no other type of this name is likely to have. */
  readonly field: string
}

/** The samples have forms of their own. */
const SAMPLES: readonly SampleForm[] = [
  { type: 'thumbnails', label: 'Thumbnails', Icon: IconPhoto, Form: ThumbnailsForm, field: 'widths' },
  { type: 'render', label: 'Render', Icon: IconPalette, Form: RenderForm, field: 'prompt' },
  { type: 'countdown', label: 'Countdown', Icon: IconHourglass, Form: CountdownForm, field: 'stepMs' },
]

/** The tab of the types that have no form of their own; no type is called so. */
const OWN = ':own'

/** Submits a job of any type that is known; `types` is null until it is known which there are. */
export function Composer({ types }: { types: readonly TypeInfo[] | null }) {
  return (
    <section className={classes.card} aria-label="New job">
      {types === null ? (
        <div className={classes.panel}>
          <Loading what="the types" rows={3} />
        </div>
      ) : (
        <Forms types={types} />
      )}
    </section>
  )
}

function Forms({ types }: { types: readonly TypeInfo[] }) {
  const samples = SAMPLES.filter((sample) => types.some((type) => isSample(type, sample)))
  const own = types.filter((type) => !samples.some((sample) => isSample(type, sample)))
  const tabs = [...(own.length > 0 ? [OWN] : []), ...samples.map(({ type }) => type)]
  const [chosen, choose] = useSessionStorage({ key: 'jobcast.composer', defaultValue: '' })
  const shown = tabs.includes(chosen) ? chosen : (tabs[0] ?? OWN)

  if (types.length === 0) return <NoTypes />
  if (samples.length === 0) {
    return (
      <div className={classes.panel}>
        <JsonForm types={own} />
      </div>
    )
  }
  return (
    <Tabs
      value={shown}
      onChange={(value) => choose(value ?? '')}
      classNames={{ tab: classes.tab, tabLabel: classes.label, tabSection: classes.icon }}
    >
      <Tabs.List grow aria-label="Type of job" data-crowded={tabs.length > 3 || undefined}>
        {own.length > 0 && (
          <Tabs.Tab value={OWN} leftSection={<IconBraces size={16} stroke={1.75} />}>
            Your types
          </Tabs.Tab>
        )}
        {samples.map(({ type, label, Icon }) => (
          <Tabs.Tab key={type} value={type} leftSection={<Icon size={16} stroke={1.75} />}>
            {label}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {own.length > 0 && (
        <Tabs.Panel value={OWN} className={classes.panel}>
          <JsonForm types={own} />
        </Tabs.Panel>
      )}
      {samples.map(({ type, Form }) => (
        <Tabs.Panel key={type} value={type} className={classes.panel}>
          <Form isShown={shown === type} />
        </Tabs.Panel>
      ))}
    </Tabs>
  )
}

/** Somebody's own type may be called like a sample, and take something else. */
function isSample({ type, payloadSchema }: TypeInfo, sample: SampleForm): boolean {
  const fields = payloadSchema?.properties
  return type === sample.type && typeof fields === 'object' && fields !== null && sample.field in fields
}
