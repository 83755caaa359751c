import { useDocumentTitle } from '@mantine/hooks'
import { IconMapOff } from '@tabler/icons-react'
import { useLocation } from 'wouter'
import { Notice } from '../common/notice.tsx'

export function NowherePage() {
  useDocumentTitle('Not found · Jobcast')
  const [, navigate] = useLocation()
  return (
    <Notice
      icon={<IconMapOff size={22} stroke={1.5} />}
      isPage
      title="There is no such page"
      text="The address may be misspelt."
      action={{ label: 'To the jobs', run: () => navigate('/') }}
    />
  )
}
