import { Tabs, Text, Title } from '@mantine/core'
import { useDocumentTitle, useSessionStorage } from '@mantine/hooks'
import { IconHourglass, IconPalette, IconPhoto } from '@tabler/icons-react'
import { CountdownForm } from './countdown-form.tsx'
import classes from './home-page.module.css'
import { JobList } from './job-list.tsx'
import { RenderForm } from './render-form.tsx'
import { ThumbnailsForm } from './thumbnails-form.tsx'

/** Submit a job, and see all of them. */
export function HomePage() {
  useDocumentTitle('Jobs · Jobcast')
  return (
    <>
      <header className={classes.head}>
        <Title order={1}>Jobs</Title>
        <Text c="dimmed" size="md">
          Submit work and watch every change, the moment it is stored.
        </Text>
      </header>
      <div className={classes.columns}>
        <div className={classes.composer}>
          <Composer />
        </div>
        <JobList />
      </div>
    </>
  )
}

/** The forms of the job types that ship, one at a time. */
function Composer() {
  const [tab, setTab] = useSessionStorage({ key: 'jobcast.composer', defaultValue: 'thumbnails' })
  return (
    <section className={classes.card} aria-label="New job">
      <Tabs
        value={tab}
        onChange={(value) => setTab(value ?? 'thumbnails')}
        classNames={{ tab: classes.tab, tabLabel: classes.label }}
      >
        <Tabs.List grow aria-label="Type of job">
          <Tabs.Tab value="thumbnails" leftSection={<IconPhoto size={16} stroke={1.75} />}>
            Thumbnails
          </Tabs.Tab>
          <Tabs.Tab value="render" leftSection={<IconPalette size={16} stroke={1.75} />}>
            Render
          </Tabs.Tab>
          <Tabs.Tab value="countdown" leftSection={<IconHourglass size={16} stroke={1.75} />}>
            Countdown
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="thumbnails" className={classes.panel}>
          <ThumbnailsForm isShown={tab === 'thumbnails'} />
        </Tabs.Panel>
        <Tabs.Panel value="render" className={classes.panel}>
          <RenderForm />
        </Tabs.Panel>
        <Tabs.Panel value="countdown" className={classes.panel}>
          <CountdownForm />
        </Tabs.Panel>
      </Tabs>
    </section>
  )
}
