import { Text, Title } from '@mantine/core'
import { useDocumentTitle } from '@mantine/hooks'
import { useTypes } from '../../react/index.ts'
import { Composer } from './composer.tsx'
import classes from './home-page.module.css'
import { JobList } from './job-list.tsx'

/** Submit a job, and see all of them. */
export function HomePage() {
  useDocumentTitle('Jobs · Jobcast')
  const { data } = useTypes()
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
          <Composer types={data?.types ?? null} />
        </div>
        <JobList types={data?.types ?? []} />
      </div>
    </>
  )
}
